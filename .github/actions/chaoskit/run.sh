#!/usr/bin/env bash
# Runs the experiments or the game-day of the INPUT_* variables, and writes summary, annotations and outputs.
#
# Inputs are data: they are never parts of a command's text. What chaoskit prints can quote a server, so the runner is
# told to obey no workflow command in it. Exits with 0 whatever the verdict: the artifact is kept first, and then the
# action's last step fails the job.
set -euo pipefail
shopt -s nullglob globstar

readonly SUMMARY_LIMIT=1000000 # bytes; GitHub takes 1 MiB of each step
readonly WORST_FIRST=(4 70 2 143 130 3 1 5 0)

codes=()
files=()
args=()
reports=()

write_output() { echo "$1=$(one_line "$2")" >>"$GITHUB_OUTPUT"; }

one_line() { printf '%s' "${1//[^[:print:]]/?}"; }

# A sentence about the inputs. That is no verdict of any experiment, and always fails the job.
reject() {
    local sentence
    sentence=$(one_line "chaoskit: $*")
    echo "$sentence" >&2
    summarise_text "$sentence"
    INPUT_FAIL_ON=error
    conclude 2
}

conclude() { # with this exit code
    local verdict each failed=false
    case $1 in
    0) verdict=met ;;
    1) verdict=broken ;;
    5) verdict=undecided ;;
    *) verdict=error ;;
    esac
    for each in $(failures "$1" "$verdict"); do
        [[ ,${INPUT_FAIL_ON// /}, != *",$each,"* ]] || failed=true
    done
    write_output exit-code "$1"
    write_output verdict "$verdict"
    write_output failed "$failed"
    echo "verdict: $verdict, exit code $1"
    exit 0
}

# What there is to fail on: the verdict, and of a suite with exit code 5 whether runs were undecided or not made.
failures() { # the exit code, the verdict
    local suite=$top/gameday/gameday.json
    if [ "$1" != 5 ] || [ ! -s "$suite" ]; then
        echo "$2"
        return
    fi
    python3 -I - "$suite" <<'END'
import json, sys

with open(sys.argv[1]) as file:
    suite = json.load(file)
kinds = {"undecided" for run in suite["runs"] if run["code"] == 5}
kinds |= {"not-run" for run in suite["runs"] if run["state"] in ("not-run", "interrupted")}
print(*sorted(kinds & set(suite["fail_on"])))
END
}

worst() { # of the exit codes so far
    local each
    for each in "${WORST_FIRST[@]}"; do
        [[ " ${codes[*]} " != *" $each "* ]] || { echo "$each"; return; }
    done
    echo "${codes[0]}"
}

summarise_file() {
    local size had
    [ "$INPUT_SUMMARY" = true ] && [ -s "$1" ] || return 0
    had=$(stat --format %s "$GITHUB_STEP_SUMMARY" 2>/dev/null || echo 0)
    size=$(stat --format %s "$1")
    if ((had + size > SUMMARY_LIMIT)); then
        summarise_text "This report is too long for the summary: see the artifact."
    else
        { cat "$1"; echo; } >>"$GITHUB_STEP_SUMMARY"
    fi
}

summarise_text() { # as it stands: nothing in it is Markdown or HTML
    [ "$INPUT_SUMMARY" = true ] || return 0
    {
        echo '<pre>'
        printf '%s\n' "$1" | tail --lines 40 | head --bytes 10000 | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
        echo '</pre>'
    } >>"$GITHUB_STEP_SUMMARY"
}

# One chaoskit command; its exit code joins the others. What it says goes to the log, and its report into the summary;
# where a failure has no report, what it said.
run() { # the run directory, the title, the words
    local code=0 fence said=$1.log report=$1/report.md
    fence=$(od --address-radix=n --format=x8 --read-bytes=16 /dev/urandom | tr --delete ' \n')
    echo "::group::$(one_line "$2")"
    echo "::stop-commands::$fence"
    chaoskit "${@:3}" 2>&1 | tee "$said" || code=${PIPESTATUS[0]}
    echo
    echo "::$fence::"
    echo "::endgroup::"
    codes+=("$code")
    if [ -s "$report" ]; then
        summarise_file "$report"
    elif [ -e "$1/gameday.json" ]; then
        summarise_text "$(chaoskit report "$1" 2>/dev/null || true)"
    elif [ "$code" != 0 ]; then
        summarise_text "$(tail --lines 40 "$said")"
    fi
    [ "$INPUT_ANNOTATIONS" != true ] || annotate "$1"
    rm -f "$said"
}

annotate() { # from the run directory, or the game-day's folder
    local name file reason
    if [ ! -e "$1/gameday.json" ]; then
        annotations "$1"
        return
    fi
    unexpected "$1/gameday.json" | while IFS=$'\t' read -r name file reason; do
        annotations "$1/$name" | grep -E '^::(error|warning) ' ||
            printf '::error file=%s,line=1,title=%s::%s\n' "$(in_repository "$file")" "$name" "$reason"
    done
}

annotations() { # of a run directory
    local line file rest
    [ -d "$1" ] || return 0
    chaoskit report "$1" --format github 2>/dev/null | grep -E '^::(error|warning|notice) file=' |
        while IFS= read -r line; do
            file=${line#*file=}
            rest=${file#*,}
            printf '%s file=%s,%s\n' "${line%% *}" "$(in_repository "${file%%,*}")" "$rest"
        done || true
}

# The runs of a suite that did not end as expected: directory, file and reason of each, with GitHub's escapes.
unexpected() { # the game-day's summary
    python3 -I - "$1" <<'END'
import json, re, sys

def escape(text):
    return re.sub("[%:,\\x00-\\x1f\\x7f-\\x9f]", lambda found: "%{:02X}".format(ord(found[0])), text)

with open(sys.argv[1]) as file:
    for run in json.load(file)["runs"]:
        if run["is_as_expected"] is False:
            reason = f"expected {run['expect']}: {run['reason'] or run['state']}"
            print(run["name"], escape(run["file"]), escape(reason), sep="\t")
END
}

# GitHub marks files by their paths from the top of the repository; others stay as they are.
in_repository() { # a path with GitHub's escapes
    local here=$PWD found
    here=${here//%/%25} here=${here//:/%3A} here=${here//,/%2C}
    [[ $1 == /* ]] && found=$1 || found=$here/$1
    found=$(realpath --canonicalize-missing --no-symlinks -- "$found")
    here=${GITHUB_WORKSPACE:-$PWD}
    here=${here//%/%25} here=${here//:/%3A} here=${here//,/%2C}
    [[ $found == "$here"/* ]] && printf '%s' "${found#"$here"/}" || printf '%s' "$1"
}

is_suite() { # a file: by the keys at its left margin, as the plugin of pytest does
    [ -f "$1" ] && grep -q '^experiments:' -- "$1" && ! grep -qE '^(question|stage|workload|timeline):' -- "$1"
}

find_files() { # of INPUT_EXPERIMENTS
    local line each found IFS=
    while read -r line || [ -n "$line" ]; do
        line=$(printf '%s' "$line" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//')
        [ -n "$line" ] || continue
        # shellcheck disable=SC2206  # expands globs; IFS is empty, so that a space separates nothing
        if [ -e "$line" ]; then found=("$line"); else found=($line); fi
        if ((${#found[@]} == 0)) || [ ! -e "${found[0]}" ]; then
            [[ $line != *[[:blank:]]* ]] || reject "experiments: $line: no such file; write one file a line"
            reject "experiments: $line: no such file"
        fi
        for each in "${found[@]}"; do
            ! is_suite "$each" || reject "experiments: $each is a suite; give it by the input gameday, and not here"
            [[ $each == -* ]] && each=./$each
            files+=("$each")
        done
    done <<<"$INPUT_EXPERIMENTS"
}

plain_name() { # of a file, for folders and artifacts
    local name=${1##*/}
    name=${name%.y*ml}
    printf '%s' "${name//[^A-Za-z0-9_.-]/-}"
}

new_directory() { # for a file's run
    local name place
    name=$(plain_name "$1")
    place=$top/$name
    local number=2
    while [ -e "$place" ]; do place=$top/$name-$((number++)); done
    printf '%s' "$place"
}

top=$(mktemp -d "$RUNNER_TEMP/chaoskit-XXXXXX")
write_output run-directory "$top"
[ -z "$INPUT_EXPERIMENTS" ] || [ -z "$INPUT_GAMEDAY" ] || reject "give experiments or gameday, not both"
[[ ${INPUT_FAIL_ON// /} =~ ^((broken|undecided|error|not-run)(,(broken|undecided|error|not-run))*)?$ ]] ||
    reject "fail-on: $INPUT_FAIL_ON: of broken, undecided, error and not-run, separated by commas"
find_files
if [ -n "$INPUT_GAMEDAY" ]; then
    [ -f "$INPUT_GAMEDAY" ] || reject "gameday: $INPUT_GAMEDAY: no such file"
    first=$INPUT_GAMEDAY
elif ((${#files[@]})); then
    first=${files[0]}
else
    reject "give experiments, one file a line, or gameday"
fi
words=$(printf '%s' "$INPUT_ARGS" | xargs -r printf '%s\n' 2>/dev/null) || reject "args: $INPUT_ARGS: an open quote"
[ -z "$words" ] || mapfile -t args <<<"$words"
[ -z "$INPUT_REPORTS" ] || reports=(--report "$INPUT_REPORTS")
case $INPUT_ARTIFACT in
"*") write_output artifact "chaoskit-$(plain_name "${GITHUB_JOB:-job}")-$(plain_name "$first")" ;;
*) write_output artifact "${INPUT_ARTIFACT//[^A-Za-z0-9 _.-]/-}" ;;
esac

if [ -n "$INPUT_GAMEDAY" ]; then
    run "$top/gameday" "chaoskit gameday $INPUT_GAMEDAY" gameday --out "$top/gameday" "${reports[@]}" "${args[@]}" "$INPUT_GAMEDAY"
else
    # A mistake in the last file is told before the first one runs for minutes.
    run "$top/validate" "chaoskit validate, ${#files[@]} file(s)" validate "${files[@]}"
    [ "${codes[0]}" = 0 ] || conclude "${codes[0]}"
    for file in "${files[@]}"; do
        directory=$(new_directory "$file")
        run "$directory" "chaoskit run $file" run --out "$directory" "${reports[@]}" "${args[@]}" "$file"
    done
fi
conclude "$(worst)"
