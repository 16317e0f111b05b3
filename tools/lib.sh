# shellcheck shell=bash disable=SC2034
# What the other scripts share: where things are, what is said on the terminal,
# which packages are needed.  To be sourced, by bash, with set -euo pipefail.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iommufd
BUILD=$CACHE/build
JOBS=${JOBS:-$(nproc)}
mkdir -p "$BUILD"

# Tools that read the locale would sort and print differently.
export LC_ALL=C

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Steps: a script that knows how many there will be sets STEPS and calls
# step; what runs inside a step prefixes its progress with $STEP.
STEP=${STEP:-}
step_number=0
step()
{
	step_number=$((step_number + 1))
	export STEP="[$step_number/${STEPS:-?}] "
	echo "$STEP$*" >&2
}

# Packages by what they are for.
PACKAGES_BUILD="gcc make flex bison bc libelf-dev libssl-dev cpio kmod rsync
	python3 perl xz-utils"
PACKAGES_BOOT="busybox-static qemu-system-x86"
PACKAGES_BOOT_ARM64="qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
PACKAGES_SELFTEST="libc6-dev libcap-dev"
PACKAGES_LINT="sparse gcc-i686-linux-gnu gcc-aarch64-linux-gnu"

# arch_of IOMMU: the processor of the test machine that has it.
arch_of()
{
	case $1 in
	smmuv3) echo arm64 ;;
	*)      echo x86_64 ;;
	esac
}

# need PACKAGE...: has them installed, or ends with the line that would.
need()
{
	local package missing=()

	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		die "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
	fi
	echo "${STEP}installing ${missing[*]}" >&2
	local log=$CACHE/apt-get.log
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1 ||
	{ apt-get update </dev/null >"$log" 2>&1 &&
	  apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1; } ||
	{ tail -n 20 "$log" >&2; die "apt-get failed: $log"; }
}

# Where the machine has its own packages from: the mirror's address, the suite.
debian_mirror()
{
	# shellcheck disable=SC2016 # the variables are apt's
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
		grep -v security | head -n 1
}

# private_apt FOLDER ARGUMENT...: apt-get with sources, lists and cache of our
# own, in FOLDER: what the machine has configured stays as it is.
private_apt()
{
	apt-get -q -o Dir::Etc::sourcelist="$1/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::Lists="$1/lists" \
		-o Dir::Cache="$1/cache" \
		-o APT::Sandbox::User=root "${@:2}"
}

# private_apt_update FOLDER SUITE [OPTION...]: only the mirror's address is the
# machine's.
private_apt_update()
{
	local mirror

	read -r mirror _ < <(debian_mirror) || return
	mkdir -p "$1"/{lists,cache/archives}/partial
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" \
		>"$1/sources.list"
	private_apt "$1" "${@:3}" update
}

# lock NAME: only one script at a time past this point, until it ends.
lock()
{
	exec {lock_fd}>"$CACHE/$1.lock"
	flock -n "$lock_fd" && return
	echo "${STEP}waiting for another run that uses $1" >&2
	flock "$lock_fd"
}
