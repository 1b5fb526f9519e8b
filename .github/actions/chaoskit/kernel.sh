#!/usr/bin/env bash
# Sees to the guest kernel that INPUT_KERNEL names: build, package, distribution or none.
# INPUT_SOURCE is a path or an https address of a tarball, for machines whose apt has no linux-source-6.12.
set -euo pipefail

die() { echo "chaoskit: $*" >&2; exit 3; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install "$@"
}

download() { # the address, the file
    curl --fail --silent --show-error --location --proto '=https' --retry 3 --max-time 900 --output "$2" -- "$1"
    [ -z "$INPUT_SHA256" ] || echo "$INPUT_SHA256  $2" | sha256sum --check --quiet - ||
        die "$1 has another SHA-256 than kernel-source-sha256"
}

build() {
    local tools=(bc binutils bison ca-certificates curl flex gcc libc6-dev make patch xz-utils)
    if apt-cache show linux-source-6.12 >/dev/null 2>&1; then
        install_packages "${tools[@]}" linux-source-6.12
        chaoskit kernel build
        return
    fi
    install_packages "${tools[@]}"
    local file=$INPUT_SOURCE
    case $file in
    https://*)
        file=$RUNNER_TEMP/${file##*/}
        download "$INPUT_SOURCE" "$file"
        ;;
    "") die "this machine has no linux-source-6.12: give kernel-source, a tarball of Linux 6.12.y" ;;
    esac
    chaoskit kernel build --source "$file"
}

case $INPUT_KERNEL in
build) chaoskit kernel status >/dev/null 2>&1 || build ;;
distribution) command -v linux.uml >/dev/null || install_packages user-mode-linux ;;
package | none) ;;
esac
[ "$INPUT_KERNEL" = none ] || [ "$INPUT_KERNEL" = distribution ] || chaoskit kernel status
