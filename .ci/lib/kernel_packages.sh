# shellcheck shell=bash
# Kernels of Debian for emulated machines, as files (private_apt.sh). .omnitide/kernels/SERIES (SERIES-arm64) holds `vmlinuz`, `modules` and
# the name of the package.

# The suite of each series; the image is that of its meta package linux-image-ARCHITECTURE.
declare -A KERNEL_SUITES=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
KERNEL_SERIES=(5.10 6.1 6.12)

# kernel_dir SERIES
kernel_dir() {
  if [[ $KERNEL_ARCH == amd64 ]]; then printf '%s' "$STATE/kernels/$1"; else printf '%s' "$STATE/kernels/$1-$KERNEL_ARCH"; fi
}

# fetch_kernel SERIES: leaves its folder as it is when it is there already. The private apt of a kernel starts afresh.
fetch_kernel() {
  local series="$1" suite dir apt log package version meta="linux-image-$KERNEL_ARCH"
  dir="$(kernel_dir "$1")"
  [[ ! -e "$dir/complete" ]] || return 0
  suite="${KERNEL_SUITES[$series]:-}"
  [[ -n "$suite" ]] || fail "no kernel $series is known here; known are: ${KERNEL_SERIES[*]}"
  apt="$dir/apt" log="$STATE/log/kernel-${dir##*/}.log"
  rm -rf -- "$dir"
  mkdir -p "$dir/root"
  apt_root "$apt" "$KERNEL_ARCH" "$suite"
  step "Fetching Linux $series of Debian $suite, $KERNEL_ARCH (log: ${log#"$ROOT/"})"
  private_update "$apt" "$log"
  package="$(private_apt "$apt" apt-cache depends --important "$meta" | sed -nE 's/^ *Depends: (linux-image-.*)/\1/p' | head -n 1)"
  [[ "$package" == "linux-image-$series."* ]] || fail "$meta of $suite is '$package', not Linux $series"
  (cd "$dir" && private_apt "$apt" apt-get -q download "$package") >>"$log" 2>&1 ||
    fail "cannot fetch $package: $(grep '^E: ' "$log" | tail -n 1)"
  dpkg-deb -x "$dir/$package"_*.deb "$dir/root"
  version="${package#linux-image-}"
  mv "$dir/root/boot/vmlinuz-$version" "$dir/vmlinuz"
  # usrmerge: trixie has modules below usr/lib, which is where depmod of trixie looks, ours looks in lib.
  if [[ ! -d "$dir/root/lib/modules/$version" ]]; then
    mkdir -p "$dir/root/lib/modules"
    mv "$dir/root/usr/lib/modules/$version" "$dir/root/lib/modules/$version"
  fi
  depmod -b "$dir/root" "$version" || fail "depmod failed for $package"
  printf '%s' "$version" >"$dir/version"
  rm -rf -- "$apt" "$dir/$package"_*.deb
  touch "$dir/complete"
  note "Linux $version"
}
