#!/bin/sh
# Installs what the tests run Tine against: PostgreSQL, pgbouncer, proxies and systemd-nspawn from Debian, the official conformance
# suite and the official MCP clients into .state/tests. Does nothing, quickly, when all of it is there.
#
#   tests/install.sh            what the tests need
#   tests/install.sh benches    what benches/run needs as well
#   tests/install.sh overload   what benches/overload needs as well
set -eu
cd "$(dirname "$0")/.."
cache=$PWD/.state/tests

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

# --- Debian packages -------------------------------------------------------------------------------------

missing=
need() { # PACKAGE PROGRAM-OR-FILE...: the package is missing unless one of them is there
  package=$1; shift
  for program; do
    case $program in
      /*) for file in $program; do [ -e "$file" ] && return 0; done ;;
      *) PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null && return 0 ;;
    esac
  done
  missing="$missing $package"
}

need gcc cc
need libc6-dev /usr/include/stdio.h
need postgresql '/usr/lib/postgresql/*/bin/postgres'
need pgbouncer pgbouncer
need apache2-bin apache2
need nginx-light nginx
need haproxy haproxy
need systemd-container systemd-nspawn
need iproute2 ip
need nftables nft
need curl curl
need jq jq
need activemq /usr/share/activemq/bin/activemq.jar
need procps /bin/kill /usr/bin/kill
need npm npm
need python3-venv '/usr/lib/python3*/ensurepip/__init__.py' '/usr/lib/python3/dist-packages/ensurepip/__init__.py'
need ca-certificates /etc/ssl/certs/ca-certificates.crt
case ${1-} in
  benches|overload) need wrk wrk ;;
esac

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "these Debian packages are missing, and there is no apt-get to get them:$missing"
  if [ "$(id -u)" = 0 ]; then sudo=; else
    command -v sudo >/dev/null || fail "run as root once, or install sudo, for these Debian packages:$missing"
    sudo=sudo
  fi
  say "Debian packages:$missing"
  $sudo apt-get update -qq </dev/null
  # shellcheck disable=SC2086 # a list of packages
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
fi

# --- Node packages: the lock file pins all of them, Node itself too ----------------------------------------

stamp() { # FOLDER FILE...: whether the folder was installed from exactly these files
  folder=$1; shift
  wanted=$(cat "$@" | sha256sum)
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ]
}

node_folder() { # FOLDER SOURCE-FOLDER
  stamp "$1" "$2/package-lock.json" && return 0
  say "npm packages of $2"
  rm -rf "$1"
  mkdir -p "$1"
  cp "$2/package.json" "$2/package-lock.json" "$1/"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null)
  echo "$wanted" > "$1/installed"
}

node_folder "$cache/node" tests/clients
if [ "${1-}" = benches ]; then node_folder "$cache/toolbox" benches/toolbox; fi

# --- Python clients, and the server that Tine replaces: one environment each, because they exclude one another --

for client in mcp1 mcp2 fastmcp original; do
  requirements=tests/clients/$client.requirements.txt
  stamp "$cache/$client" "$requirements" && continue
  say "Python packages of $requirements"
  rm -rf "${cache:?}/$client"
  mkdir -p "$cache"
  /usr/bin/python3 -m venv "$cache/$client"
  "$cache/$client/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$requirements" </dev/null
  echo "$wanted" > "$cache/$client/installed"
done
