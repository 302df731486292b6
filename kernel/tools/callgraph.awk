# The call graph of a compiler that writes none (clang): from its assembly and its frame sizes
# (-fstack-usage), in the form of GCC's -fcallgraph-info=su, for stackgate.awk and stackinfo.awk.
#
#     awk -f callgraph.awk -v unit=x.c x.s x.su > x.ci
#
# A call is a bl or a branch to a name that is no local label, a computed one a blr or br. A static
# function is FILE:NAME, as two files may have one of the same name.
BEGIN {
	INDIRECT = "__indirect_call"
	calls = 0
	printf "graph: { title: \"%s\"\n", unit
}

FILENAME ~ /\.s$/ {
	sub(/\/\/.*$/, "")
	split($0, word, /[ \t,]+/)
	if (word[2] == ".globl")
		shared[word[3]] = 1
	else if (word[2] == ".type" && word[4] == "@function")
		from = word[3]
	else if (word[2] ~ /^bl?$/ && word[3] !~ /^\.L/)
		call(word[3])
	else if (word[2] ~ /^bl?r$/)
		call(INDIRECT)
	next
}

# FILE:LINE:NAME, bytes, static or dynamic
{
	split($1, place, ":")
	name = place[3]
	title[name] = name in shared ? name : unit ":" name
	printf "node: { title: \"%s\" label: \"%s\\n%s:%s\\n%s bytes (%s)\" }\n", title[name], name,
		place[1], place[2], $2, $3
}

function call(to) {
	source[calls] = from
	target[calls++] = to
}

function titled(name) {
	return name in title ? title[name] : name
}

END {
	for (n = 0; n < calls; n++)
		printf "edge: { sourcename: \"%s\" targetname: \"%s\" }\n", titled(source[n]),
			titled(target[n])
	print "}"
}
