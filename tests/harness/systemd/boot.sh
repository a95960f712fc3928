#!/bin/sh
# Boots this machine's own system as a container, on an overlay that is forgotten with it, and ends it when standard input
# ends: whoever started it may die in any way. Needs a mount namespace of its own; the mounts go with it.
#
#   boot.sh FOLDER NAME    an empty folder to mount on, a name for its control group
#
# Prints the process id of systemd-nspawn. Exit code 77: containers can't be had here, and standard error says why.
set -u
folder=$1 name=$2

forget() {
  ! mountpoint -q "$folder/root" || umount "$folder/root" || return 1
  ! mountpoint -q "$folder" || umount "$folder" || return 1
  rmdir "$folder"
}
cannot() { echo "$*" >&2; forget 2>/dev/null; exit 77; }

mount -t tmpfs -o mode=0755,size=2g tine-test "$folder" || cannot "no tmpfs can be mounted"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root" \
  || cannot "no overlay of the root can be mounted"

# The system as Debian ships it: nothing that this machine's owner enabled, and a target that waits for nothing.
root=$folder/root
rm -rf "$root/etc/systemd/system" "$root/etc/tine" "$root/usr/local/lib/systemd" "$root/usr/local/bin/tine"
mkdir -p "$root/etc/systemd/system" "$root/etc/systemd/journald.conf.d"
: > "$root/etc/machine-id"
cat > "$root/etc/systemd/system/test.target" <<'UNIT'
[Unit]
Description=The part of a system that Tine needs
Requires=sysinit.target
After=sysinit.target
UNIT
# Tests look for every line.
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' > "$root/etc/systemd/journald.conf.d/test.conf"

# Control groups of its own: systemd takes over what is below the one it starts in.
groups=
for top in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  [ -w "$top/cgroup.procs" ] || continue
  mkdir "$top/$name" && echo $$ > "$top/$name/cgroup.procs" && groups="$groups $top/$name"
done
[ -n "$groups" ] || cannot "no control group can be made"

systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --private-network --console=pipe \
  systemd.unit=test.target </dev/null >&2 &
container=$!
echo "$container"
exec >/dev/null

cat
# Its first process takes all others with it (pid_namespaces(7)); until they are gone, its groups and mounts are busy.
kill -KILL $(cat "/proc/$container/task/$container/children") "$container"
wait
gone() {
  for group in $groups; do
    echo $$ > "${group%/*}/cgroup.procs"
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + || return 1
  done
  forget
}
for _ in $(seq 100); do
  gone 2>/dev/null && break
  sleep 0.1
done
rm -f "$folder.log"
