#!/usr/bin/env bash
# `make fresh RELEASE=trixie`: the README's commands on a bare Debian, as a newcomer types them.
#
# Makes a minimal system of that release in a temporary folder (debootstrap, about 400 MB), clones the
# last commit of this checkout into it, runs each command and prints a table. The system is removed
# afterwards, also after Ctrl-C; its processes live in a namespace of their own and end with it. What
# this machine needs to reach a package registry goes in: certificates, resolver, proxy and pip settings.
#
#   FRESH_RUN        the commands, with ; between them (make demo;make test)
#   DEBOOTSTRAP_DIR  debootstrap's own (/usr/share/debootstrap)
#   FRESH_KEEP       a folder: keep the system's logs there (build/fresh)

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
release=${1:-}
commands=${FRESH_RUN:-make demo;make test}
logs=${FRESH_KEEP:-${BUILD:-build}/fresh}/$release
scripts=${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts

die() {
	printf 'fresh: %s\n' "$@" >&2
	exit 1
}

check() {
	[[ $release =~ ^[a-z]+$ ]] ||
		die "RELEASE='$release' is no name of a Debian release" 'type: make fresh RELEASE=trixie'
	((EUID == 0)) || die 'debootstrap and chroot need root' "type: sudo make fresh RELEASE=$release"
	command -v debootstrap >/dev/null || die 'there is no debootstrap' 'type: apt-get install debootstrap'
	[[ -e $scripts/$release ]] ||
		die "debootstrap does not know $release" "it knows: $(known_releases)"
}

known_releases() {
	local script names=()
	for script in "$scripts"/{bookworm,trixie,forky,sid}; do
		[[ ! -e $script ]] || names+=("${script##*/}")
	done
	printf '%s' "${names[*]}"
}

# A newcomer has git, make and what TLS needs; everything else is set-up's business.
make_system() {
	printf 'fresh: making Debian %s in %s, removed at the end\n' "$release" "$root"
	debootstrap --variant=minbase --include=git,make,ca-certificates "$release" "$root" \
		>"$logs/debootstrap.log" 2>&1 || die "debootstrap failed; its log: $logs/debootstrap.log"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	git clone --quiet . "$root/srv/highwater"
}

settings() { env | grep -iE '^(https?_proxy|no_proxy|PIP_(INDEX_URL|CERT|DEFAULT_TIMEOUT))=' || true; }

# Mounts and processes are the namespace's own: both are gone when the command ends, however it ends.
inside() {
	local pass
	mapfile -t pass < <(settings)
	# shellcheck disable=SC2016 # for the shell inside
	unshare --mount --pid --fork --kill-child bash -c '
		mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 1
		exec chroot "$1" env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:3}" \
			bash -c "cd /srv/highwater && $2"' inside "$root" "$1" "${pass[@]}"
}

# pytest's last line, if the command ran it.
counts() { grep -oE '([0-9]+ (passed|failed|skipped|error[s]?)(, )?)+' "$1" | tail -n 1 || true; }

# What pytest says of each that was skipped, with its reason, and of each that failed.
reasons() {
	local name
	for name in "$@"; do
		grep -E '^(SKIPPED|FAILED|ERROR) ' "$logs/$name.log" | sed 's/^/           /' || true
	done
}

run_all() {
	local command name started status
	IFS=';' read -ra list <<<"$commands"
	for command in "${list[@]}"; do
		name=${command// /-}
		ran+=("$name")
		started=$SECONDS status=ok
		printf 'fresh: %s\n' "$command"
		inside "$command" >"$logs/$name.log" 2>&1 || status=FAILED
		rows+=("$(printf '%-9s %-26s %-7s %4d s  %s' "$release" "$command" "$status" \
			$((SECONDS - started)) "$(counts "$logs/$name.log")")")
		[[ $status == ok ]] || failed=1
	done
}

versions() {
	# shellcheck disable=SC2016 # for the shell inside
	inside 'for tool in aarch64-linux-gnu-gcc clang qemu-system-aarch64 gdb-multiarch python3; do
		$tool --version | head -n 1; done' 2>/dev/null | sed 's/^/           /' || true
}

check
mkdir -p "$logs"
root=$(mktemp -d "${TMPDIR:-/tmp}/highwater-fresh.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM
rows=() ran=() failed=0
make_system
run_all
printf '%-9s %-26s %-7s %6s  %s\n' RELEASE COMMAND STATUS TIME TESTS
printf '%s\n' "${rows[@]}"
reasons "${ran[@]}"
versions
printf 'logs: %s\n' "$logs"
exit "$failed"
