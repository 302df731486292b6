# The boot path's gate: the deepest chain below each entry, by the compiler's own numbers (the .ci files of
# GCC's -fcallgraph-info=su), may not be larger than the budget. One line an entry on standard output;
# what is too large, or cannot be known, fails the build with the chain in the message.
#
#   entries   functions that begin on an empty boot stack
#   budget    bytes that they and all they call may take
#   without   functions that are not entered: they break the rule on purpose
#   assembly  NAME=BYTES of functions that the compiler does not know
BEGIN {
	INDIRECT = "__indirect_call"
	split(without, names, " ")
	for (i in names)
		skipped[names[i]] = 1
	split(assembly, names, " ")
	for (i in names) {
		split(names[i], pair, "=")
		frame[pair[1]] = pair[2]
	}
}

function quoted(text, n,    parts) {
	split(text, parts, "\"")
	return parts[2 * n]
}

# A static function is FILE:NAME; without the file, as it stands in a backtrace.
function short(title) {
	sub(/^.*:/, "", title)
	return title
}

/^node:/ {
	title = quoted($0, 1)
	if (match($0, /[0-9]+ bytes \([a-z,]+\)/)) {
		split(substr($0, RSTART, RLENGTH), bytes, " ")
		frame[title] = bytes[1]
		if (bytes[3] != "(static)")
			unknown[title] = "its frame is " bytes[3]
	}
	named[short(title)] = title
}

/^edge:/ {
	from = quoted($0, 1)
	to = quoted($0, 2)
	if (!((from, to) in seen)) {
		seen[from, to] = 1
		calls[from] = calls[from] to "\n"
	}
}

# Bytes of the deepest chain from a function down; chain[title] says which. Sets `wrong` to what is unknown.
function deepest(title,    targets, n, i, below, deep, way) {
	if (title in known)
		return known[title]
	if (title in active)
		return blame(title, "it calls itself")
	if (!(title in frame))
		return blame(title, title == INDIRECT ? "a computed call" : "the compiler says nothing of it")
	if (title in unknown)
		return blame(title, unknown[title])
	active[title] = 1
	n = split(calls[title], targets, "\n")
	for (i = 1; i < n; i++) {
		if (short(targets[i]) in skipped)
			continue
		below = deepest(targets[i])
		if (wrong && !via)
			via = short(title)
		if (below > deep || way == "") {
			deep = below
			way = chain[targets[i]]
		}
	}
	delete active[title]
	chain[title] = short(title) " " frame[title] (way == "" ? "" : " -> " way)
	return known[title] = frame[title] + deep
}

function blame(title, why) {
	if (!wrong)
		wrong = short(title) ": " why
	return 0
}

function fail(entry, text) {
	print "boot path: " entry " " text > "/dev/stderr"
	failed = 1
}

END {
	n = split(entries, names, " ")
	for (i = 1; i <= n; i++) {
		entry = names[i]
		wrong = via = ""
		if (!(entry in named)) {
			fail(entry, "is no function of the kernel; kernel/build.mk names it in BOOT_PATH")
			continue
		}
		total = deepest(named[entry])
		if (wrong)
			fail(entry, "cannot be bounded: " wrong (via ? " (called by " via ")" : "") \
				"; call by name, with fixed frames, or name it in kernel/build.mk")
		else if (total > budget)
			fail(entry, "takes " total " bytes, and a boot stack has " budget ": " \
				chain[named[entry]] "; make a frame smaller or the path shorter")
		else
			print entry, total, "of", budget ":", chain[named[entry]]
	}
	exit failed
}
