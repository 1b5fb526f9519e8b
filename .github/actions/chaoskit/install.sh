#!/usr/bin/env bash
# Installs chaoskit into a folder of its own and puts it on PATH; writes key and path of the kernel cache as outputs.
# INPUT_VERSION, INPUT_EXTRAS and INPUT_KERNEL are the action's inputs: data, never parts of a command.
set -euo pipefail

die() { echo "chaoskit: $*" >&2; exit 2; }

case $INPUT_KERNEL in
build | package | distribution | none) ;;
*) die "kernel: build, package, distribution or none" ;;
esac
[[ $INPUT_EXTRAS =~ ^([a-z]+(,[a-z]+)*)?$ ]] || die "extras: names separated by commas, such as tables,plots"
[[ $INPUT_VERSION =~ ^(installed|[0-9][0-9A-Za-z.]*)?$ ]] || die "version: a version such as 0.1.0, or installed"

install() { # places chaoskit into the folder named
    local top extras=$INPUT_EXTRAS pip=("$1/bin/python" -m pip --quiet --disable-pip-version-check --no-input install)
    [ "$INPUT_KERNEL" != package ] || extras=${extras:+$extras,}kernel
    python3 -m venv "$1"
    if [ -n "$INPUT_VERSION" ]; then
        "${pip[@]}" "chaoskit${extras:+[$extras]}==$INPUT_VERSION"
        return
    fi
    top=$(cd "$GITHUB_ACTION_PATH/../../.." && pwd)
    "${pip[@]}" --require-hashes --requirement "$top/.ci/lock-program.txt"
    "${pip[@]}" --no-deps --no-build-isolation "$top"
    [ -z "$extras" ] || "${pip[@]}" "${top}[$extras]" # the locks have no extras
}

if [ "$INPUT_VERSION" = installed ]; then
    command -v chaoskit >/dev/null || die "version: installed, and there is no chaoskit on PATH"
else
    folder=$(mktemp -d "$RUNNER_TEMP/chaoskit-program-XXXXXX")
    install "$folder"
    echo "$folder/bin" >>"$GITHUB_PATH"
    PATH=$folder/bin:$PATH
fi
chaoskit --version
chaoskit kernel cache >>"$GITHUB_OUTPUT"
