# A compiler's call graph (GCC's -fcallgraph-info=su) in, assembly to put behind the same object's code
# out: two sections that are never loaded.
#   .GNU.callgraph  the graph itself, word for word
#   .stack_sizes    LLVM's format, for `llvm-readelf --stack-sizes`: a function's address, its frame as
#                   ULEB128. A frame with dynamic objects has no size, and so no entry.
BEGIN {
	print "\t.section .GNU.callgraph,\"\",%progbits"
	print "\t.incbin \"" ci "\""
	print "\t.section .stack_sizes,\"\",%progbits"
}

/^node:/ && match($0, /[0-9]+ bytes \((static|dynamic,bounded)\)/) {
	split(substr($0, RSTART), bytes, " ")
	split($0, quoted, "\"")
	name = quoted[2]
	sub(/^.*:/, "", name) # a static function is FILE:NAME
	print "\t.quad " name "\n\t.uleb128 " bytes[1]
}
