"""The hooks in Debian's own frameworks: update-initramfs, kernel packages, apt, kernel-install."""

import shutil

import pytest

PREDICT = "reseal --predict --hook "
PREDICT_FIRST = "reseal --predict --keep-suspended --hook "
ESP = "boot/efi"


def hooks(system):
    """The names of the hooks that have called."""
    return [words.split("--hook ")[1].split()[0] for words in system.words()]


def initramfs_words(system, how=PREDICT):
    """How the hook of update-initramfs calls."""
    return f"{how}initramfs --built /boot/initrd.img-{system.version}"


def test_update_initramfs(system):
    """Suspended while it is built, then one call with the image that is in place; all of it Debian's own."""
    system.path(f"{system.STATE}/pins.json").write_text("{}", encoding="ascii")
    before = system.digest(f"boot/initrd.img-{system.version}")
    real = {system.path("usr/sbin/mkinitramfs.real"): "/usr/sbin/mkinitramfs"}
    system.check("update-initramfs", "-u", binds=real)
    suspended, call = system.calls()
    assert suspended.words == "suspend --update --quiet" and suspended.stdin == "/dev/null"
    assert call.words == initramfs_words(system)
    assert call.built == system.digest(f"boot/initrd.img-{system.version}") != before
    assert call.stdin == "closed"


def test_update_initramfs_and_a_failure(system):
    """The status is passed on: update-initramfs fails, with the new image in place."""
    system.fail("initramfs", 3)
    before = system.digest(f"boot/initrd.img-{system.version}")
    result = system.run("update-initramfs", "-u")
    assert result.status == 1, result.output
    call, = system.calls()
    assert call.built == system.digest(f"boot/initrd.img-{system.version}") != before


def test_trigger_of_dpkg_and_a_failure(system):
    """A package's trigger: initramfs-tools is half configured after a failure, and tries again when told."""
    system.fail("initramfs", 10)
    system.check("dpkg-trigger", "--no-await", "--by-package=cryptsetup-initramfs", "update-initramfs")
    result = system.run("dpkg", "--configure", "--pending")
    assert result.status == 1, result.output
    assert system.package_status("initramfs-tools") == "half-configured"
    assert system.words() == [initramfs_words(system)]
    system.fail("initramfs", 0)
    system.check("dpkg", "--configure", "--pending")
    assert system.package_status("initramfs-tools") == "installed"
    assert system.words() == [initramfs_words(system)]


def remove_kernel(system):
    """With the package that only names it."""
    return system.run("dpkg", "--remove", "linux-image-cloud-amd64", system.kernel_package)


def test_kernel_package(system):
    """Removed and installed: the last call comes when grub.cfg is final."""
    version, package = system.version, system.package_file(system.kernel_package)
    name = system.kernel_package
    result = remove_kernel(system)
    assert result.status == 0, result.output
    call, = system.calls()
    assert call.words == f"{PREDICT}kernel"
    assert call.grub_cfg == system.digest("boot/grub/grub.cfg")
    without = system.path("boot/grub/grub.cfg").read_text(encoding="utf-8")
    assert "as it was" not in without and version not in without
    before = call.grub_cfg

    system.check("dpkg", "--install", package)
    initramfs, kernel = system.calls()
    assert initramfs.words == f"{PREDICT_FIRST}initramfs --built /boot/initrd.img-{version}"
    assert initramfs.built == system.digest(f"boot/initrd.img-{version}")
    assert initramfs.grub_cfg == before
    assert kernel.words == f"{PREDICT}kernel"
    assert kernel.grub_cfg == system.digest("boot/grub/grub.cfg") != before
    assert version in system.path("boot/grub/grub.cfg").read_text(encoding="utf-8")
    assert system.package_status(name) == "installed"


@pytest.mark.full
def test_kernel_package_and_a_failure_at_the_end(system):
    """The package is half configured, grub.cfg is written, dpkg tries again."""
    system.fail("kernel", 3)
    result = system.run("dpkg", "--install", system.package_file(system.kernel_package))
    assert result.status == 1, result.output
    assert system.package_status(system.kernel_package) == "half-configured"
    assert system.version in system.path("boot/grub/grub.cfg").read_text(encoding="utf-8")
    system.calls()
    system.fail("kernel", 0)
    system.check("dpkg", "--configure", "--pending")
    assert system.package_status(system.kernel_package) == "installed"
    assert hooks(system) == ["initramfs", "kernel"]


@pytest.mark.full
def test_kernel_package_and_a_failure_before_grub(system):
    """update-grub is not run: the machine goes on booting what it did."""
    system.fail("initramfs", 3)
    result = system.run("dpkg", "--install", system.package_file(system.kernel_package))
    assert result.status == 1, result.output
    assert system.package_status(system.kernel_package) == "half-configured"
    assert system.path("boot/grub/grub.cfg").read_text(encoding="utf-8") == system.GRUB_CFG
    assert system.words() == [initramfs_words(system, PREDICT_FIRST)]
    system.fail("initramfs", 0)
    system.check("dpkg", "--configure", "--pending")


@pytest.mark.full
def test_kernel_removed_and_a_failure(system):
    """The files are gone and grub.cfg is written; the next try removes the package."""
    name, package = system.kernel_package, system.package_file(system.kernel_package)
    system.fail("kernel", 3)
    assert remove_kernel(system).status == 1
    assert system.package_status(name) == "half-installed"
    system.fail("kernel", 0)
    system.check("dpkg", "--remove", name)
    assert system.package_status(name) in ("config-files", "not-installed")
    assert set(system.words()) == {f"{PREDICT}kernel"}
    system.check("dpkg", "--install", package)


def test_without_the_program(system):
    """What lies in /etc outlives the program, and says nothing."""
    hooks = ("etc/kernel/postinst.d/zzz-bootseal", "etc/kernel/postrm.d/zzz-bootseal",
             "etc/initramfs/post-update.d/zzz-bootseal", "usr/lib/kernel/install.d/95-bootseal.install",
             "usr/lib/bootseal/hooks/packages")
    program = system.path("usr/sbin/bootseal")
    program.rename(f"{program}.away")
    try:
        for hook in hooks:
            assert system.check(f"/{hook}", "add", "1", "2") == ""
    finally:
        program.with_name("bootseal.away").rename(program)


def reinstall(system, package):
    """By apt, which needs no archive for a file."""
    return system.run("apt-get", "--yes", "--reinstall", "install", system.package_file(package))


def test_apt(system):
    """A boot loader's package is followed by a call, another one is not."""
    system.path("run/bootseal/packages").unlink(missing_ok=True)
    assert reinstall(system, "hostname").status == 0
    assert system.words() == [f"{PREDICT}shim"]  # the first call since the machine was started
    assert reinstall(system, "hostname").status == 0
    assert system.words() == []
    result = reinstall(system, "grub-efi-amd64-signed")
    assert result.status == 0, result.output
    assert system.words() == [f"{PREDICT}shim"]
    assert reinstall(system, "hostname").status == 0
    assert system.words() == []


@pytest.mark.full
def test_apt_and_a_failure(system):
    """apt fails, nothing is left half configured, and the next call tries again."""
    system.fail("shim", 3)
    result = reinstall(system, "grub-efi-amd64-signed")
    assert result.status == 100, result.output
    assert system.package_status("grub-efi-amd64-signed") == "installed"
    assert reinstall(system, "hostname").status == 100
    system.fail("shim", 0)
    assert reinstall(system, "hostname").status == 0
    assert system.words() == [f"{PREDICT}shim"] * 3


@pytest.fixture
def systemd_boot(system):
    """An EFI system partition of which bootctl believes that systemd-boot is on it."""
    for folder in ("EFI/systemd", "EFI/BOOT", "loader"):
        system.path(f"{ESP}/{folder}").mkdir(parents=True, exist_ok=True)
    loader = system.path("usr/lib/systemd/boot/efi/systemd-bootx64.efi").read_bytes()
    system.path(f"{ESP}/EFI/systemd/systemd-bootx64.efi").write_bytes(loader)
    system.path(f"{ESP}/loader/entries.srel").write_text("type1\n", encoding="ascii")
    system.environment = {"SYSTEMD_ESP_PATH": f"/{ESP}", "SYSTEMD_RELAX_ESP_CHECKS": "1", "BOOT_ROOT": f"/{ESP}"}
    system.check("bootctl", "is-installed", **system.environment)
    yield system
    shutil.rmtree(system.path(ESP))
    system.path(ESP).mkdir()


def loader_files(system):
    """The names of what kernel-install left: entries and images."""
    names = [path.name for path in system.path(ESP).rglob("*") if path.is_file() and path.parent.name != "systemd"]
    return sorted(name for name in names if name != "entries.srel")


def test_kernel_install(systemd_boot):
    """By hand: a call after the entry is written or gone, no initramfs passed as built here; its status counts."""
    system, version = systemd_boot, systemd_boot.version
    add = ("kernel-install", "add", version, f"/boot/vmlinuz-{version}", f"/boot/initrd.img-{version}")
    system.check(*add, **system.environment)
    assert system.words() == [f"{PREDICT}kernel-install"]
    assert loader_files(system) == [f"{system.path('etc/machine-id').read_text().strip()}-{version}.conf",
                                    f"initrd.img-{version}", "linux"]
    system.fail("kernel-install", 3)
    assert system.run(*add, **system.environment).status == 3
    system.fail("kernel-install", 0)
    system.calls()
    system.check("kernel-install", "remove", version, **system.environment)
    assert system.words() == [f"{PREDICT}kernel-install"]
    assert loader_files(system) == []


@pytest.mark.full
def test_systemd_boot_follows_update_initramfs(systemd_boot):
    """kernel-install is called by the other hooks: one call, by the last of them, with the copies in place."""
    system, version = systemd_boot, systemd_boot.version
    system.check("update-initramfs", "-u", **system.environment)
    assert system.words() == [initramfs_words(system)]
    assert f"initrd.img-{version}" in loader_files(system)
    system.check("dpkg", "--install", system.package_file(system.kernel_package), **system.environment)
    assert hooks(system) == ["initramfs", "kernel"]
    hook = system.path("etc/initramfs/post-update.d/zzz-bootseal")
    hook.chmod(0o644)
    system.check("update-initramfs", "-u", **system.environment)
    hook.chmod(0o755)
    assert system.words() == [f"{PREDICT}kernel-install"]
