#!/usr/bin/env bash
# Builds what a release consists of into target/package/dist: a .deb, an .rpm, a tarball, and their checksums. The binary
# runs with every glibc from 2.17 on. Tools that are missing are installed below target/package.
#
#     packaging/build.sh
set -euo pipefail
cd "$(dirname "$0")/.."

triple=x86_64-unknown-linux-gnu
glibc=2.17
package=target/package
root=$package/root
dist=$package/dist
doc=$root/usr/share/doc/campaign-exporter
version=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(next(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == "campaign_exporter"))')
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
export SOURCE_DATE_EPOCH

# The tools, each of one version. zig links against the old glibc.
tools=$PWD/$package/tools
export PATH=$tools/bin:$PATH PYTHONPATH=$tools/python
tool() {
    command -v "$1" >/dev/null || cargo install --quiet --locked --root "$tools" "$1@$2"
}
tool cargo-zigbuild 0.24.1
tool cargo-deb 3.8.0
tool cargo-generate-rpm 0.21.1
python3 -c 'import ziglang' 2>/dev/null || pip3 install --quiet --target "$tools/python" ziglang==0.17.1

cargo zigbuild --release --locked --target "$triple.$glibc" --bin campaign_exporter
binary=target/$triple/release/campaign_exporter
above=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
if [ "$(printf '%s\n' "$above" "GLIBC_$glibc" | sort -V | tail -n 1)" != "GLIBC_$glibc" ]; then
    echo "package: the binary needs $above" >&2
    exit 1
fi

# One tree, as it is installed; the packages and the tarball are made from it.
rm -rf "$root" "$dist"
mkdir -p "$dist" "$doc/examples"
put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$binary" usr/bin/campaign_exporter
put 644 packaging/campaign_exporter.service usr/lib/systemd/system/campaign_exporter.service
put 644 packaging/campaign_exporter.default etc/default/campaign_exporter
put 644 packaging/config.yml etc/campaign_exporter/config.yml
install -m 644 packaging/examples/* "$doc/examples/"
packaging/licenses.py | gzip -9n >"$doc/third-party-licenses.txt.gz"
gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
packaging/debian_changelog.py "$maintainer" <CHANGELOG.md | gzip -9n >"$doc/changelog.gz"
mkdir "$doc/docs"
install -m 644 docs/*.md "$doc/docs/"
install -m 644 README.md SECURITY.md "$doc/"
cp -r docs/runbooks "$doc/"
# The runbooks stand where `runbook_url` leads, the licence and the changelog where Debian has them.
sed -i 's|docs/runbooks/|runbooks/|g' "$doc/README.md"
sed -i 's|(runbooks/|(../runbooks/|g' "$doc/docs/README.md"
mkdir -p "$root/usr/share/campaign_exporter"
cp -r alerts dashboards "$root/usr/share/campaign_exporter/"
rm -r "$root/usr/share/campaign_exporter/alerts/tests"

exporter=$root/usr/bin/campaign_exporter
mkdir -p "$root/usr/share/man/man1"
"$exporter" generate man | gzip -9n >"$root/usr/share/man/man1/campaign_exporter.1.gz"
for command in serve check rules; do
    "$exporter" generate man "$command" | gzip -9n >"$root/usr/share/man/man1/campaign_exporter-$command.1.gz"
done
completion() {
    mkdir -p "$root/usr/share/$(dirname "$2")"
    "$exporter" generate completion "$1" >"$root/usr/share/$2"
}
completion bash bash-completion/completions/campaign_exporter
completion zsh zsh/vendor-completions/_campaign_exporter
completion fish fish/vendor_completions.d/campaign_exporter.fish
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f ! -perm -u+x -exec chmod 644 {} +

cargo deb --quiet --no-build --no-strip --target "$triple" --output "$dist/campaign-exporter_${version}_amd64.deb"
cargo generate-rpm --target "$triple" --output "$dist/campaign-exporter-${version}-1.x86_64.rpm"

# The tarball: the same files, to be put where they belong by hand.
name=campaign_exporter-$version.linux-amd64
flat=$package/$name
rm -rf "$flat"
mkdir -p "$flat/systemd"
cp -r "$root"/usr/share/campaign_exporter/* "$exporter" LICENSE CHANGELOG.md README.md "$flat/"
cp -r docs packaging/examples packaging/config.yml "$flat/"
cp packaging/campaign_exporter.{service,default} "$flat/systemd/"
cp "$doc/third-party-licenses.txt.gz" "$root"/usr/share/man/man1/* "$flat/"
cp -r "$root/usr/share/bash-completion/completions" "$flat/completions"
cp "$root/usr/share/zsh/vendor-completions/_campaign_exporter" "$root/usr/share/fish/vendor_completions.d"/* "$flat/completions/"
tar --create --gzip --file "$dist/$name.tar.gz" --directory "$package" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=0 --group=0 --numeric-owner "$name"
rm -r "$flat"
(cd "$dist" && sha256sum -- * >sha256sums.txt)
ls -l "$dist"
