# shellcheck shell=bash
# Sourced by the scripts beside it: what --dry-run means, in one place.

dry_run=no # a script sets it to yes when it reads --dry-run

# Words as a shell would need them; plain ones stay plain.
quote() {
  local word line="" apostrophe="'\\''"
  for word in "$@"; do
    case "$word" in
      "" | *[!A-Za-z0-9_./:=,@%+-]*)
        word="'${word//\'/$apostrophe}'"
        ;;
    esac
    line+="$word "
  done
  printf '%s' "${line% }"
}

# Runs a command; with --dry-run prints it instead, on one line.
run() {
  if [[ "$dry_run" == yes ]]; then
    quote "$@"
    echo
  else
    "$@"
  fi
}

# Ends with a message and the exit code of a wrong call.
refuse() {
  echo "error: $*" >&2
  exit 1
}
