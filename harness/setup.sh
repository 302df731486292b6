#!/usr/bin/env bash
# Installs what Highwater needs and is not there yet; says what it installs; otherwise silent.
#
# Called by the Makefile before anything else, so it must cost nothing when nothing is missing:
# one look per tool, and one stamp that is written last, so that a half-made .venv
# (Ctrl-C, full disk, no network) is noticed and made again. Two makes at once wait for each
# other. Where there is no apt-get it installs nothing and names what to install.
#
#   CROSS_COMPILE   the toolchain's prefix, when it is neither of the two that are known here
#   KERNEL_CC       the kernel's compiler, when make was given another (CC=)
#   OS_RELEASE      where this system says what it is (/etc/os-release)

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements=requirements.txt
venv=.venv
stamp=$venv/.highwater-stamp
tools_stamp=$venv/.highwater-tools${KERNEL_CC:+-${KERNEL_CC##*/}}

# any of these commands, or a part of clang's runtime : the Debian package that brings the last of them.
# Only names that every supported release of Debian and Ubuntu has: one unknown name, and apt installs
# nothing. What lint needs comes from PyPI (requirements.in), so that it says the same everywhere.
needs=(
	"aarch64-none-elf-gcc aarch64-linux-gnu-gcc : gcc-aarch64-linux-gnu"
	"qemu-system-aarch64 : qemu-system-arm"
	"qemu-aarch64 qemu-aarch64-static : qemu-user"
	"aarch64-none-elf-gdb gdb-multiarch : gdb-multiarch"
	"clang : clang"
	"llvm-readelf : llvm"
	"libclang_rt.fuzzer : libclang-rt-dev"
	"shellcheck : shellcheck"
	"tmux : tmux"
	"make : make"
	"git : git"
)

case ${CROSS_COMPILE:-} in
'' | aarch64-none-elf- | aarch64-linux-gnu-) ;;
*) needs[0]="${CROSS_COMPILE}gcc : -" ;;
esac

[[ -z ${KERNEL_CC:-} ]] || needs+=("$KERNEL_CC : -")

# The package that brings it in needs : the oldest version : what an older one lacks
oldest=(
	"gcc-aarch64-linux-gnu : 12 : -fsanitize=shadow-call-stack"
	"qemu-system-arm : 7.2 : what the scenarios were recorded with, and plugins in Debian's build"
	"gdb-multiarch : 12 : DWARF 5 of the kernel image"
	"clang : 14 : the fuzzers' options"
)

# The oldest release of a distribution whose packages are new enough.
declare -A oldest_release=([debian]=12 [ubuntu]=24.04)

say() { printf 'setup: %s\n' "$*"; }

die() {
	printf 'setup: %s\n' "$@" >&2
	exit 1
}

# A part of the runtime of that very clang which is on PATH, whatever its version.
have_runtime() {
	local clang files
	clang=$(readlink -f "$(command -v clang)") || return 1
	files=("${clang%/bin/*}"/lib/clang/*/lib/*/"$1"*.a)
	[[ -f ${files[0]} ]]
}

have() {
	case $1 in
	libclang_rt.*) have_runtime "$1" ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

# Sets found to the first of these commands that is there.
find_any() {
	for found; do
		if have "$found"; then return 0; fi
	done
	return 1
}

# Sets missing to the rows of needs that nothing on PATH satisfies.
find_missing() {
	local row
	missing=()
	for row in "${needs[@]}"; do
		# shellcheck disable=SC2086 # the commands of a row are words, and its files patterns
		find_any ${row%% :*} || missing+=("$row")
	done
}

# Sets found to the command that satisfies the row of needs with package $1; CROSS_COMPILE's has none.
find_of() {
	local row
	for row in "${needs[@]}"; do
		case ${row##*: } in
		"$1") ;;
		-) [[ $1 == gcc-* && $row != "${KERNEL_CC:-} : -" ]] || continue ;;
		*) continue ;;
		esac
		# shellcheck disable=SC2086 # the commands of a row are words
		find_any ${row%% :*}
		return
	done
	return 1
}

# Is version $1 at least $2?
at_least() { printf '%s\n' "$2" "$1" | sort -VC; }

# The first line of --version is a sentence; the version is the first number after its brackets.
version_of() {
	local line
	read -r line < <("$1" --version 2>/dev/null) || true
	line=${line/(*)/}
	[[ $line =~ [0-9]+(\.[0-9]+)+ ]] && printf '%s\n' "${BASH_REMATCH[0]}"
}

# One line, before anything is installed: a tool that is there and too old would win over apt's.
refuse_old_tools() {
	local row package least lacks
	for row in "${oldest[@]}"; do
		IFS=: read -r package least lacks <<<"${row// : /:}"
		if find_of "$package"; then refuse_if_old "$least" "$lacks"; fi
		if is_given "$package"; then
			found=$KERNEL_CC
			refuse_if_old "$least" "$lacks"
		fi
	done
}

# Is make's CC what this package brings, in another version?
is_given() {
	have "${KERNEL_CC:-}" || return 1
	case ${KERNEL_CC##*/} in
	*clang*) [[ $1 == clang ]] ;;
	*) [[ $1 == gcc-* ]] ;;
	esac
}

# Of the tool in found.
refuse_if_old() {
	local version
	version=$(version_of "$found") || return 0
	at_least "$version" "$1" || die "$found is $version; Highwater needs $1 or newer ($2)" \
		'Debian 12, Debian 13 and Ubuntu 24.04 have that; CROSS_COMPILE= or CC= name another compiler'
}

refuse_old_release() {
	local name least
	[[ -r ${OS_RELEASE:-/etc/os-release} ]] || return 0
	# shellcheck disable=SC1090 # a file of the system's
	name=$(. "${OS_RELEASE:-/etc/os-release}" && printf '%s %s' "${ID:-}" "${VERSION_ID:-}")
	least=${oldest_release[${name% *}]:-}
	[[ -z $least || -z ${name#* } ]] || at_least "${name#* }" "$least" ||
		die "${name% *} ${name#* } has tools that are too old (GCC 12, QEMU 7.2, GDB 12, Python 3.11 are the least)" \
			"${name% *} $least is the oldest that works; nothing was installed"
}

# The tools whose versions were looked at; another file under the same name is looked at again.
tools_seen() {
	local row tools=()
	for row in "${oldest[@]}"; do
		if find_of "${row%% *}"; then tools+=("$(command -v "$found")"); fi
	done
	if have "${KERNEL_CC:-}"; then tools+=("$(command -v "$KERNEL_CC")"); fi
	stat -Lc '%n %s %Y' "${tools[@]}"
}

tools_ready() { [[ -f $tools_stamp && $(<"$tools_stamp") == "$(tools_seen)" ]]; }

# Sets python to a Python 3.11 or newer that can make a venv (Debian packs that part apart).
find_python() {
	local candidate
	for candidate in python3 /usr/bin/python3 python3.{14,13,12,11}; do
		if have "$candidate" && "$candidate" -c \
			'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
			>/dev/null 2>&1; then
			python=$candidate
			return 0
		fi
	done
	return 1
}

# Where Python keeps what it has compiled: with all else that is made, not beside the sources.
pycache=$PWD/build/pycache

# What the stamp must say: these packages, this interpreter, this directory (a venv cannot move).
expected_stamp() {
	local sum rest
	read -r sum rest < <(sha256sum "$requirements")
	printf '%s\n%s\n%s\n' "$sum" "$(readlink -f "$venv/bin/python")" "$pycache"
}

venv_ready() { [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$(expected_stamp)" ]]; }

name_missing() {
	local row
	printf 'setup: %s\n' "$1" >&2
	for row in "${missing[@]}"; do
		local commands=${row%% :*} package=${row##*: }
		[[ $package == - ]] && package='what CROSS_COMPILE or CC names'
		printf '    %-44s (Debian: %s)\n' "${commands// / or }" "$package" >&2
	done
	printf 'setup: then run make again\n' >&2
	exit 1
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo "$@"
	fi
}

# sudo that wants a password asks on the terminal, where there is one.
may_become_root() {
	((EUID != 0)) || return 0
	have sudo || die "not root, and there is no sudo; as root: apt-get install $1"
	sudo -n true 2>/dev/null || (: </dev/tty) 2>/dev/null ||
		die 'not root, and sudo wants a password that it has no terminal to ask for' \
			"as root: apt-get install $1; then run make again"
}

apt() {
	# 9<&-: whatever apt leaves running must not keep the lock.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=120 "$@" 9<&- >&2
}

install_packages() {
	local row packages=()
	have apt-get || name_missing 'this is not Debian or Ubuntu (no apt-get); install these:'
	for row in "${missing[@]}"; do
		[[ ${row##*: } != - ]] || name_missing 'CROSS_COMPILE or CC names a compiler that is not on PATH:'
		packages+=("${row##*: }")
	done
	refuse_old_release
	may_become_root "${packages[*]}"
	say "installing with apt: ${packages[*]}"
	apt update || die 'apt-get update failed (see above)'
	apt install -y --no-install-recommends "${packages[@]}" ||
		die "apt-get install ${packages[*]} failed (see above)"
	hash -r
}

make_venv() {
	[[ -w . ]] || die "$PWD cannot be written, and $venv belongs there" \
		'copy the checkout to a folder of your own, and run make there'
	# The stamp goes first: a removal that is cut short must not leave it behind.
	rm -f "$stamp"
	rm -rf "$venv"
	say "installing Python packages of $requirements into $venv ($("$python" --version))"
	"$python" -m venv "$venv" || die "$python -m venv $venv failed (see above)"
	# Wheels only: a build from source would fetch build tools that no hash pins.
	"$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
		--require-hashes --only-binary :all: -r "$requirements" ||
		die "pip failed (see above); $venv is unfinished and will be made again"
	"$venv/bin/python" -c 'import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "highwater.pth").write_text(
    f"import sys; sys.pycache_prefix = sys.pycache_prefix or {sys.argv[1]!r}\n")' "$pycache"
	expected_stamp >"$stamp.new"
	mv "$stamp.new" "$stamp"
}

install_all() {
	# Looked at again under the lock: another make may have done it all meanwhile.
	refuse_old_tools
	find_missing
	if ! venv_ready && ! find_python; then
		missing+=("python3 (3.11 or newer, with venv) : python3-venv")
	fi
	((${#missing[@]} == 0)) || install_packages
	find_missing
	((${#missing[@]} == 0)) || name_missing 'apt installed its packages, and yet there is no:'
	if ! venv_ready; then
		find_python || die 'no Python 3.11 or newer that can make a venv was found' \
			'install one as python3.11 (or newer) with its venv module, then run make again'
		make_venv
	fi
	refuse_old_tools
	tools_seen >"$tools_stamp.new"
	mv "$tools_stamp.new" "$tools_stamp"
}

find_missing
if ((${#missing[@]} == 0)) && venv_ready && tools_ready; then exit 0; fi
if have flock; then
	exec 9<harness/setup.sh
	flock 9
fi
install_all
say 'done'
