#!/bin/sh
# Installs chaoskit from a copy of its tree on this Debian or Ubuntu machine, as root: provision.sh [TREE].
# Running it again updates the installation. It ends with chaoskit doctor.
set -eu
tree=${1:-/chaoskit}
home=/opt/chaoskit
modules="sch_netem veth ifb cls_matchall act_mirred sch_ingress"

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
packages="python3-venv kmod"
case $(uname -m) in x86_64 | i686) packages="$packages user-mode-linux" ;; esac
# shellcheck disable=SC2086  # one word for each package
apt-get -qq -y install --no-install-recommends $packages >/dev/null

# An unprivileged user cannot load modules, so load them at boot.
mkdir -p /etc/modules-load.d
for module in $modules; do echo "$module"; done >/etc/modules-load.d/chaoskit.conf
# shellcheck disable=SC2086  # one word for each module
modprobe -a $modules || echo "this kernel lacks some modules; chaoskit doctor below shows the consequences"

[ -x $home/bin/python ] || python3 -m venv $home
pip="$home/bin/python -m pip -qq --disable-pip-version-check install"
$pip --require-hashes --requirement "$tree/.ci/lock-program.txt"
$pip --no-deps --no-build-isolation --no-index --force-reinstall "$tree"
ln -sf $home/bin/chaoskit /usr/local/bin/chaoskit

chaoskit doctor
