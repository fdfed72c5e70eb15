#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs test programs on an x86 processor that this machine is not: a small Linux boots in the
# emulator Bochs and runs them. Integers and floats come out as on the real one; speed does not.
#
# usage: tests/emulated.sh [--processor NAME] [--build DIR] [--kernel FILE] [PROGRAM...]
#   --processor NAME  skylake-x (AVX-512 without dot products) or icelake (with VNNI, VPOPCNTDQ,
#                     VBMI and GFNI); icelake
#   --build DIR       where the tests were built; build/release
#   --kernel FILE     a Linux kernel for x86-64 with a serial console; else one of /boot, else
#                     Debian's, which is downloaded
#   PROGRAM           names in DIR/tests; the tests of the kernels, which take 10 to 20 minutes
#
# The last line is `N passed, N failed`; the exit code is 0 only if nothing failed. Bochs 2.7 does
# not know AVX-512's bfloat16, and gets products with matrices of bits wrong (GF2P8AFFINEQB), by
# which icelake unpacks weights: there, ops_qgemv_test and tests that run packed weights fail.
set -euo pipefail
cd "$(dirname "$0")/.."

processor=icelake build=build/release kernel='' programs=()
while [ $# -gt 0 ]; do
  case $1 in
    --processor) processor=${2:?--processor needs a name}; shift ;;
    --build) build=${2:?--build needs a folder}; shift ;;
    --kernel) kernel=${2:?--kernel needs a file}; shift ;;
    -*) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) programs+=("$build/tests/$1") ;;
  esac
  shift
done
case $processor in
  skylake-x) model=corei7_skylake_x ;;
  icelake) model=corei7_icelake_u ;;
  *) echo "emulated: no processor '$processor'; there are skylake-x and icelake" >&2; exit 2 ;;
esac
if [ ${#programs[@]} -eq 0 ]; then programs=("$build"/tests/kernels_*_test); fi
for program in "${programs[@]}"; do
  if [ ! -x "$program" ]; then
    echo "emulated: no program $program; build the tests first (README.md)" >&2
    exit 2
  fi
done
scripts/install-dependencies.sh emulator

work=$(mktemp -d)
bochs=''
trap 'if [ -n "$bochs" ]; then kill "$bochs" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

if [ -z "$kernel" ]; then
  kernel=$(find /boot -name 'vmlinuz-*' -readable 2>/dev/null | sort -V | tail -n 1)
fi
if [ -z "$kernel" ]; then
  package=$(apt-cache depends linux-image-cloud-amd64 | grep -o 'linux-image-[0-9][^ ]*' | head -n 1)
  (cd "$work" && apt-get -qq download "$package" 2>/dev/null && dpkg -x "$package"_*.deb kernel)
  kernel=$(find "$work/kernel/boot" -name 'vmlinuz-*')
fi

# ---- the system: a shell, the programs, the libraries and the files that they read ----
root=$work/root
mkdir -p "$root"/{bin,dev,proc,tmp} "$work/disk/boot/grub"
cp "$(command -v busybox)" "$root/bin/"
for tool in sh mount poweroff sleep; do ln -s busybox "$root/bin/$tool"; done
ldd "${programs[@]}" | grep -oE '/[^ :]+\.so[^ :]*' | sort -u | xargs cp -L --parents -t "$root"
find "$PWD/tests" -name golden -type d -exec cp -r --parents {} "$root" \;
cp "${programs[@]}" "$root/bin/"
{
  echo '#!/bin/sh'
  echo 'mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; cd /tmp'
  echo 'export OMP_NUM_THREADS=1'
  for program in "${programs[@]}"; do
    name=${program##*/}
    echo "echo '=== $name'; /bin/$name --no-colors=true; echo \"=== $name ended with \$?\""
  done
  echo 'sleep 1; poweroff -f'
} >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/disk/boot/system"
cp "$kernel" "$work/disk/boot/linux"

# Bochs describes the extended state of registers otherwise than it saves it, and Linux does not
# boot with some of the newer features of its processors.
without=pku,ospke,xsaves,xsavec,aperfmperf,fsrm,erms,umip,fsgsbase,smap,smep
cat >"$work/disk/boot/grub/grub.cfg" <<EOF
set timeout=0
menuentry tests {
  linux /boot/linux console=ttyS0 quiet panic=-1 nosmp nokaslr nopti mitigations=off tsc=reliable \
    no_timer_check lpj=1000000 random.trust_cpu=on nopcid noinvpcid no5lvl \
    split_lock_detect=off clearcpuid=$without
  initrd /boot/system
}
EOF
grub-mkrescue -o "$work/disk.iso" "$work/disk" >"$work/disk.log" 2>&1 || { cat "$work/disk.log"; exit 1; }

# ---- the machine ----
cat >"$work/bochsrc" <<EOF
cpu: model=$model, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
display_library: rfb, options="timeout=0"
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
com1: enabled=1, mode=file, dev=$work/console
clock: sync=none
log: $work/bochs.log
panic: action=fatal
EOF
# Builds with a debugger wait for its command to continue.
debugger=()
echo c >"$work/continue"
if [[ $(bochs --help 2>&1) == *' -rc '* ]]; then debugger=(-rc "$work/continue"); fi

echo "$processor in Bochs: ${#programs[@]} programs; the first output comes after half a minute"
: >"$work/console"
bochs -q -f "$work/bochsrc" "${debugger[@]}" >"$work/bochs.out" 2>&1 </dev/null &
bochs=$!
tail --pid="$bochs" -n +1 -f "$work/console" | sed -u -e 's/\r//g' -e '/^\[ /d'
wait "$bochs" || true
bochs=''

passed=0 failed=0
echo
for program in "${programs[@]}"; do
  name=${program##*/}
  ended=$(tr -d '\r' <"$work/console" | grep "=== $name ended with " | grep -o '[0-9]*$' || true)
  case $ended in
    0) passed=$((passed + 1)); printf '%-40s passed\n' "$name" ;;
    '') failed=$((failed + 1)); printf '%-40s did not end\n' "$name" ;;
    *) failed=$((failed + 1)); printf '%-40s failed, exit code %s\n' "$name" "$ended" ;;
  esac
done
if [ $passed -eq 0 ]; then tail -n 20 "$work/bochs.out" "$work/bochs.log"; fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
