/*
 * What Debian 12's GRUB has: the modules in its signed image (grub-efi-amd64-signed 2.06: the list that the image is
 * built from, and what those depend on), and the names of all commands, of the image and of other modules.
 */
#include "measure/predict/grub/run.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* Both in the order of strcmp(). */
/* clang-format off */

static const char *const modules[] = {
    "acpi", "afsplitter", "all_video", "archelp", "bitmap", "bitmap_scale", "boot", "btrfs", "bufio", "cat",
    "chain", "configfile", "cpuid", "crypto", "cryptodisk", "datetime", "disk", "diskfilter", "echo", "efi_gop",
    "efi_uga", "efifwsetup", "efinet", "ext2", "extcmd", "f2fs", "fat", "font", "fshelp", "gcry_arcfour",
    "gcry_blowfish", "gcry_camellia", "gcry_cast5", "gcry_crc", "gcry_des", "gcry_dsa", "gcry_idea", "gcry_md4",
    "gcry_md5", "gcry_rfc2268", "gcry_rijndael", "gcry_rmd160", "gcry_rsa", "gcry_seed", "gcry_serpent",
    "gcry_sha1", "gcry_sha256", "gcry_sha512", "gcry_tiger", "gcry_twofish", "gcry_whirlpool", "gettext", "gfxmenu",
    "gfxterm", "gfxterm_background", "gzio", "halt", "help", "hfsplus", "iso9660", "jpeg", "json", "keystatus",
    "linux", "linuxefi", "loadenv", "loopback", "ls", "lsefi", "lsefimmap", "lsefisystab", "lssal", "luks", "luks2",
    "lvm", "lzopio", "mdraid09", "mdraid1x", "memdisk", "minicmd", "mmap", "mpi", "net", "normal", "part_apple",
    "part_gpt", "part_msdos", "password_pbkdf2", "pbkdf2", "pgp", "play", "png", "priority_queue", "probe",
    "procfs", "raid5rec", "raid6rec", "reboot", "regexp", "relocator", "search", "search_fs_file", "search_fs_uuid",
    "search_label", "serial", "sleep", "smbios", "squash4", "terminal", "terminfo", "test", "tpm", "trig", "true",
    "video", "video_bochs", "video_cirrus", "video_colors", "video_fb", "xfs", "xzio", "zfs", "zfscrypt", "zfsinfo",
    "zstd"
};

static const char *const commands[] = {
    ".", "[", "acpi", "all_functional_test", "appleloader", "authenticate", "background_color", "background_image",
    "backtrace", "badram", "blocklist", "boot", "break", "cat", "cbmemc", "chainloader", "clear", "cmp",
    "configfile", "continue", "coreboot_boottime", "cpuid", "crc", "cryptomount", "cutmem", "date", "distrust",
    "dump", "echo", "eval", "exit", "export", "extract_entries_configfile", "extract_entries_source",
    "extract_legacy_entries_configfile", "extract_legacy_entries_source", "extract_syslinux_entries_configfile",
    "extract_syslinux_entries_source", "fakebios", "false", "file", "fix_video", "functional_test", "fwsetup",
    "gettext", "gptsync", "halt", "hashsum", "hdparm", "hello", "help", "hexdump", "hexdump_random", "inb",
    "initrd", "initrd16", "initrdefi", "inl", "insmod", "inw", "keymap", "keystatus", "kfreebsd",
    "kfreebsd_loadenv", "kfreebsd_module", "kfreebsd_module_elf", "knetbsd", "knetbsd_module", "knetbsd_module_elf",
    "kopenbsd", "kopenbsd_ramdisk", "legacy_check_password", "legacy_configfile", "legacy_initrd",
    "legacy_initrd_nounzip", "legacy_kernel", "legacy_password", "legacy_source", "linux", "linux16", "linuxefi",
    "list_env", "list_trusted", "load_env", "loadbios", "loadfont", "loopback", "ls", "lsacpi", "lscoreboot",
    "lsefi", "lsefimmap", "lsefisystab", "lsfonts", "lsmmap", "lsmod", "lspci", "lssal", "macppcbless",
    "mactelbless", "md5sum", "menuentry", "module", "module2", "multiboot", "multiboot2", "nativedisk",
    "net_add_addr", "net_add_dns", "net_add_route", "net_bootp", "net_bootp6", "net_del_addr", "net_del_dns",
    "net_del_route", "net_dhcp", "net_get_dhcp_option", "net_ipv6_autoconf", "net_ls_addr", "net_ls_cards",
    "net_ls_dns", "net_ls_routes", "net_nslookup", "normal", "normal_exit", "outb", "outl", "outw", "parttool",
    "password", "password_pbkdf2", "pcidump", "play", "probe", "rdmsr", "read", "read_byte", "read_dword",
    "read_word", "reboot", "regexp", "return", "rmmod", "save_env", "search", "search.file", "search.fs_label",
    "search.fs_uuid", "serial", "set", "setparams", "setpci", "sha1sum", "sha256sum", "sha512sum", "shift", "sleep",
    "smbios", "source", "submenu", "syslinux_configfile", "syslinux_source", "terminal_input", "terminal_output",
    "terminfo", "test", "test_blockarg", "testload", "testspeed", "time", "tr", "true", "trust", "unset", "usb",
    "verify_detached", "videoinfo", "videotest", "write_byte", "write_dword", "write_word", "wrmsr",
    "xnu_devprop_load", "xnu_kernel", "xnu_kernel64", "xnu_kext", "xnu_kextdir", "xnu_mkext", "xnu_ramdisk",
    "xnu_resume", "xnu_splash", "xnu_uuid", "zfs-bootfs", "zfsinfo", "zfskey"
};
/* clang-format on */

static int compare(const void *name, const void *item)
{
    return strcmp(name, *(const char *const *)item);
}

bool module_is_built_in(const char *name)
{
    return bsearch(name, modules, array_size(modules), sizeof modules[0], compare) != NULL;
}

bool command_exists(const char *name)
{
    return bsearch(name, commands, array_size(commands), sizeof commands[0], compare) != NULL;
}
