"""Mutation testing: does the suite see a small fault that is put into the code?

`make mutants [FILES=… COUNT=… SEED=…]`. A mutant is one change of one place, made from the code's
own syntax tree (inc, inassembly, inpython); it is built and tried in a copy of the tree (tree), on
the tests that execute its line (reach), until the first one fails (inpytest). What becomes of it is
kept (store), told (outcome, document) and, where nothing can tell it from the original, accepted by
name with a reason (accepted; kernel/mutants-accepted.toml). docs/trust.md holds the score.
"""
