"""Debian as it comes boots in the virtual machine, measured and with Secure Boot on."""

SECURE_BOOT_VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
EVENT_LOG = "/sys/kernel/security/tpm0/binary_bios_measurements"


def test_boot_with_secure_boot(debian_image, layout, copy_image, make_machine, progress):
    """Firmware, shim, GRUB and kernel, all signed; the passphrase at Debian's prompt; a root shell."""
    machine = make_machine(copy_image(debian_image))
    machine.start()
    machine.enter_passphrase(layout)
    prompt_seconds = machine.seconds
    machine.wait_shell()
    shell_seconds = machine.seconds

    # Four bytes of attributes, one of value.
    assert machine.read_file(SECURE_BOOT_VARIABLE)[4:] == b"\x01"
    assert "Secure boot enabled" in machine.check("dmesg")
    assert machine.check("findmnt --noheadings --output SOURCE /") == f"/dev/mapper/{layout.volume_name}\n"
    # What the first event of a TCG log says about itself.
    assert b"Spec ID Event03" in machine.read_file(EVENT_LOG)[:64]
    for number in (4, 7, 8, 9):
        assert machine.pcr(number) != bytes(32), f"PCR {number} was not extended"
    # The libraries that bootseal uses reach the TPM too.
    assert machine.pcr(7).hex() in machine.check("tpm2_pcrread sha256:7").lower()

    machine.power_off()
    progress(f"prompt after {prompt_seconds:.0f} s, shell {shell_seconds:.0f} s, off {machine.seconds:.0f} s")
