# shellcheck shell=bash
# For scripts that set `top` to the top folder of the tree and source this: the packages of tests/packages.

package_list=${top:?}/tests/packages

# packages_of GROUP...: their names, one a line, none twice
packages_of() {
    local group
    for group; do
        grep --quiet --line-regexp --fixed-strings "[$group]" "$package_list" || {
            echo "tests/packages has no group \"$group\"" >&2
            return 1
        }
        awk -v group="[$group]" '/^\[/ { inside = $1 == group; next } inside && /^[a-z0-9]/ { print $1 }' \
            "$package_list"
    done | sort --unique
}

# missing_of PACKAGE...: those that are not installed
missing_of() {
    comm -23 <(printf '%s\n' "$@" | sort --unique) \
        <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
            sed -n 's/^installed //p' | sort --unique)
}

# install_packages GROUP...: apt is called only when something is missing
install_packages() {
    local names missing
    names=$(packages_of "$@") || return 1
    # shellcheck disable=SC2086 # a list of names
    missing=$(missing_of $names)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    echo "installing:" $missing
    if [ "$(id -u)" -ne 0 ]; then
        echo "only root may install packages" >&2
        return 1
    fi
    # shellcheck disable=SC2086
    apt-get --quiet --option DPkg::Lock::Timeout=300 update &&
        DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --option DPkg::Lock::Timeout=300 \
            --no-install-recommends install $missing
}
