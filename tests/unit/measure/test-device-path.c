#include "measure/device-path.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define END "\x7f\xff\x04\x00"
#define PCI_ROOT "\x02\x01\x0c\x00\xd0\x41\x03\x0a\x00\x00\x00\x00"
#define PCI "\x01\x01\x06\x00\x02\x1f"
#define GUID "\x63\x48\x1a\x54\xfe\xe2\xac\x44\xaa\xd4\xf7\x4f\xdd\x39\x52\xa4"
#define FILE_NODE "\x04\x04\x0c\x00\\\0E\0F\0\0\0"

static bool put(bool (*function)(FILE *stream, struct span path), const char *bytes, size_t size, char **ret)
{
    /* bytes of their own, so that AddressSanitizer sees a step too far */
    cleanup(free_ptr) char *copy = malloc(size ? size : 1);
    size_t text_size;
    FILE *stream = open_memstream(ret, &text_size);
    bool good;

    memcpy(copy, bytes, size);
    good = function(stream, (struct span){ copy, size });
    assert_int_equal(fclose(stream), 0);
    return good;
}

static void assert_path(const char *bytes, size_t size, const char *wanted)
{
    cleanup(free_ptr) char *text = NULL;

    assert_true(put(device_path_put, bytes, size, &text));
    assert_string_equal(text, wanted);
}

#define ASSERT_PATH(literal, wanted) assert_path(literal END, sizeof(literal END) - 1, wanted)

static void nodes(void **state)
{
    (void)state;
    assert_path("", 0, "");
    ASSERT_PATH("", "");
    ASSERT_PATH(PCI_ROOT PCI FILE_NODE, "PciRoot(0x0)/Pci(0x1f,0x2)/\\EF");
    ASSERT_PATH("\x02\x01\x0c\x00\x01\x02\x03\x04\x05\x00\x00\x00", "Acpi(0x04030201,0x5)");
    ASSERT_PATH("\x03\x02\x08\x00\x01\x00\x02\x00", "Scsi(0x1,0x2)");
    ASSERT_PATH("\x03\x05\x06\x00\x01\x00", "USB(0x1,0x0)");
    ASSERT_PATH("\x03\x12\x0a\x00\x02\x00\xff\xff\x00\x00", "Sata(0x2,0xffff,0x0)");
    ASSERT_PATH("\x03\x17\x10\x00\x01\x00\x00\x00\0\0\0\0\0\0\0\0", "NVMe(0x1)");
    ASSERT_PATH("\x03\x0b\x0b\x00\x52\x54\x00\x12\x34\x56\x00", "MAC(525400123456)");
    ASSERT_PATH("\x03\x18\x08\x00http", "Uri(http)");
    ASSERT_PATH("\x03\x1a\x05\x00\x01", "SD(0x1)");
    ASSERT_PATH("\x03\x1d\x05\x00\x01", "eMMC(0x1)");
    ASSERT_PATH("\x04\x01\x2a\x00\x01\x00\x00\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" GUID "\x02\x02",
                "HD(1,GPT,541a4863-e2fe-44ac-aad4-f74fdd3952a4)");
    ASSERT_PATH("\x04\x01\x2a\x00\x01\x00\x00\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" GUID "\x01\x01", "HD(1)");
    ASSERT_PATH("\x04\x07\x14\x00" GUID "\x04\x06\x14\x00" GUID,
                "Fv(541a4863-e2fe-44ac-aad4-f74fdd3952a4)/FvFile(541a4863-e2fe-44ac-aad4-f74fdd3952a4)");
    ASSERT_PATH("\x05\x63\x06\x00zz", "Path(5,99,2 bytes)");
}

static void files(void **state)
{
    static const char on_disk[] = PCI_ROOT PCI FILE_NODE END, in_flash[] = "\x04\x06\x14\x00" GUID END;
    static const char neither[] = PCI_ROOT PCI END;
    cleanup(free_ptr) char *first = NULL, *second = NULL, *third = NULL;

    (void)state;
    assert_true(put(device_path_put_file, on_disk, sizeof(on_disk) - 1, &first));
    assert_string_equal(first, "\\EF");
    assert_true(put(device_path_put_file, in_flash, sizeof(in_flash) - 1, &second));
    assert_string_equal(second, "FvFile(541a4863-e2fe-44ac-aad4-f74fdd3952a4)");
    assert_false(put(device_path_put_file, neither, sizeof(neither) - 1, &third));
    assert_string_equal(third, "");
}

static void assert_no_path(const char *bytes, size_t size)
{
    cleanup(free_ptr) char *text = NULL, *file = NULL;

    assert_false(put(device_path_put, bytes, size, &text));
    (void)put(device_path_put_file, bytes, size, &file);
}

static void malformed(void **state)
{
    static const char whole[] = PCI_ROOT PCI FILE_NODE;

    (void)state;
    for (size_t size = 1; size < sizeof(whole) - 1; size++) /* cut anywhere but between nodes */
        if (size != 12 && size != 18)
            assert_no_path(whole, size);
    assert_no_path("\x01\x01\x00\x00", 4); /* no node is that short */
    assert_no_path("\x01\x01\x03\x00", 4);
    assert_no_path("\x01\x01\xff\xff"
                   "ab",
                   6);
    assert_no_path("\x01\x01\x05\x00"
                   "a" END,
                   9); /* a PCI node of one byte */
    assert_no_path("\x04\x01\x05\x00"
                   "a" END,
                   9);
    assert_no_path("\x04\x07\x05\x00"
                   "a" END,
                   9);
}

/* As many nodes as one likes: it stops. */
static void endless(void **state)
{
    char bytes[6 * (DEVICE_PATH_MAX_NODES + 1)];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i += 6)
        memcpy(bytes + i, PCI, 6);
    assert_no_path(bytes, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes),
        cmocka_unit_test(files),
        cmocka_unit_test(malformed),
        cmocka_unit_test(endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
