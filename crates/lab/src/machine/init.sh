#!/bin/busybox sh
# The first program of a machine: makes the system whole, runs /start, then takes commands from the second serial line.
/bin/busybox --install -s /bin
export PATH=/programs:/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
echo "machine: $(uname -sr)"
. /start
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
printf '\n--hextet-ready--\n' >&3
while read -r line <&3; do
  sh -c "$line" >/tmp/stdout 2>/tmp/stderr </dev/null
  status=$?
  { cat /tmp/stdout; printf '\n--hextet-stderr--\n'; cat /tmp/stderr; printf '\n--hextet-status--%s\n' "$status"; } >&3
done
poweroff -f
