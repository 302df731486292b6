#!/usr/bin/env bash
# Installs what Highwater needs and is not there yet; says what it installs; otherwise silent.
#
# Called by the Makefile before anything else, so it must cost nothing when nothing is missing:
# one look per tool, and one stamp that is written last, so that a half-made .venv
# (Ctrl-C, full disk, no network) is noticed and made again. Two makes at once wait for each
# other. Where there is no apt-get it installs nothing and names what to install.
#
#   CROSS_COMPILE   the toolchain's prefix, when it is neither of the two that are known here

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements=requirements.txt
venv=.venv
stamp=$venv/.highwater-stamp

# any of these commands, or files by pattern : the Debian package that brings the last of them
needs=(
	"aarch64-none-elf-gcc aarch64-linux-gnu-gcc : gcc-aarch64-linux-gnu"
	"qemu-system-aarch64 : qemu-system-arm"
	"qemu-aarch64 qemu-aarch64-static : qemu-user"
	"aarch64-none-elf-gdb gdb-multiarch : gdb-multiarch"
	"clang-format : clang-format"
	"clang-tidy : clang-tidy"
	"clang-14 : clang-14"
	"llvm-readelf : llvm"
	"/usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-*.a : libclang-rt-14-dev"
	"shellcheck : shellcheck"
	"tmux : tmux"
	"make : make"
	"git : git"
)

case ${CROSS_COMPILE:-} in
'' | aarch64-none-elf- | aarch64-linux-gnu-) ;;
*) needs[0]="${CROSS_COMPILE}gcc : -" ;;
esac

say() { printf 'setup: %s\n' "$*"; }

die() {
	printf 'setup: %s\n' "$@" >&2
	exit 1
}

have() { [[ $1 == /* && -f $1 ]] || command -v "$1" >/dev/null 2>&1; }

have_any() {
	local command
	for command; do
		if have "$command"; then return 0; fi
	done
	return 1
}

# Sets missing to the rows of needs that nothing on PATH satisfies.
find_missing() {
	local row
	missing=()
	for row in "${needs[@]}"; do
		# shellcheck disable=SC2086 # the commands of a row are words, and its files patterns
		have_any ${row%% :*} || missing+=("$row")
	done
}

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
		[[ $package == - ]] && package='what CROSS_COMPILE names'
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

apt() {
	# 9<&-: whatever apt leaves running must not keep the lock.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=120 "$@" 9<&- >&2
}

install_packages() {
	local row packages=()
	have apt-get || name_missing 'this is not Debian or Ubuntu (no apt-get); install these:'
	for row in "${missing[@]}"; do
		[[ ${row##*: } != - ]] || name_missing 'CROSS_COMPILE names a compiler that is not on PATH:'
		packages+=("${row##*: }")
	done
	((EUID == 0)) || have sudo ||
		die "not root, and there is no sudo; as root: apt-get install ${packages[*]}"
	say "installing with apt: ${packages[*]}"
	apt update || die 'apt-get update failed (see above)'
	apt install -y --no-install-recommends "${packages[@]}" ||
		die "apt-get install ${packages[*]} failed (see above)"
	hash -r
}

make_venv() {
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
}

find_missing
if ((${#missing[@]} == 0)) && venv_ready; then exit 0; fi
if have flock; then
	exec 9<harness/setup.sh
	flock 9
fi
install_all
say 'done'
