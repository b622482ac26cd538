#!/usr/bin/env bash
# Puts a binary into a folder with what it needs to run and nothing else: no shell, no package manager. Dockerfile makes an image of
# it, and scripts/image.sh runs it without one. Needs Debian, whose packages the libraries come from.
#
#   scripts/image/rootfs.sh BINARY FOLDER [TOOL…]    with these programs of the system
set -euo pipefail
binary=$1 root=$2
shift 2

# The libraries that it is linked with, under the names by which the loader looks for them.
libraries() { ldd "$1" | grep -oE '/[^ ]+' | sort -u; }

# The package that a file is of. Some packages know it by the name from before /lib was a part of /usr.
package_of() { { dpkg-query -S "$(readlink -f "$1")" || dpkg-query -S "$1" || dpkg-query -S "${1#/usr}"; } 2>/dev/null | head -n 1 | cut -d : -f 1; }

packages=(ca-certificates tzdata)

# add FILE PATH: the file under this path, and what it is linked with.
add() {
	local library
	install -D -m 0755 "$(readlink -f "$1")" "$root$2"
	while IFS= read -r library; do
		[[ -e $root$library ]] || install -D -m 0755 "$(readlink -f "$library")" "$root$library"
		packages+=("$(package_of "$library")")
	done < <(libraries "$1")
}

add "$binary" /usr/local/bin/lazaret
for tool; do
	file=$(command -v "$tool")
	add "$file" "/usr/bin/$tool"
	packages+=("$(package_of "$file")")
done

# Whom to trust, time zones of schedules, and how names of hosts are found.
mkdir -p "$root/etc/ssl/certs" "$root/usr/share"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
# Where OpenSSL itself looks, and with it the Kafka client where no `ca_file` is set.
mkdir -p "$root/usr/lib/ssl"
ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
cp -a /usr/share/zoneinfo "$root/usr/share/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'lazaret:x:65532:65532::/var/lib/lazaret:/nonexistent' >"$root/etc/passwd"
echo 'lazaret:x:65532:' >"$root/etc/group"
install -d -m 1777 "$root/tmp"
# Mount points, which engines make where they are missing.
install -d "$root/proc" "$root/dev" "$root/sys"
install -d -m 0750 "$root/var/lib/lazaret"
# Whoever is not root only tries it out.
((EUID != 0)) || chown 65532:65532 "$root/var/lib/lazaret"

# Where scanners look for what is inside, and what the licences ask for.
mkdir -p "$root/var/lib/dpkg/status.d"
printf '%s\n' "${packages[@]}" | sort -u | while IFS= read -r package; do
	dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
	install -D -m 0644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done
install -D -m 0644 LICENSE "$root/usr/share/doc/lazaret/LICENSE"
