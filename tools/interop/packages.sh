# Sourced by run.sh, handover.sh and mixed.sh: what Debian has to install before the tests can run.
packages=()
need() { # PACKAGE COMMAND...: the package is there if the command succeeds
  "${@:2}" >/dev/null 2>&1 || packages+=("$1")
}
install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  echo "== installing ${packages[*]}"
  local sudo=; [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -q && $sudo apt-get install -y -q --no-install-recommends "${packages[@]}"
}
