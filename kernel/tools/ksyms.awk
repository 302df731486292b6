# `readelf -sW kernel` in, the assembly of .ksyms out: see base/symbol.c for the format.
# The caller sorts by address (column 2). Only functions count, so that labels inside them
# (fault_site_…) do not cut them in two.
BEGIN {
	n = 0
}

$8 == "__text_start" {
	start = $2
}

$4 == "FUNC" && $7 != "ABS" && !($2 in seen) {
	seen[$2] = 1
	address[n] = $2
	size[n] = $3
	name[n] = $8
	n++
}

END {
	print "\t.section .ksyms, \"a\"\n\t.balign 8\n\t.global ksyms\nksyms:"
	print "\t.quad " n
	at = 0
	for (i = 0; i < n; i++) {
		print "\t.long 0x" address[i] " - 0x" start ", " size[i] ", " at
		at += length(name[i]) + 1
	}
	for (i = 0; i < n; i++)
		print "\t.asciz \"" name[i] "\""
}
