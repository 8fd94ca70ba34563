#include "measure/device-path.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/text.h"

enum node_type { NODE_HARDWARE = 1, NODE_ACPI = 2, NODE_MESSAGING = 3, NODE_MEDIA = 4, NODE_END = 0x7f };
enum media_subtype { MEDIA_HARD_DRIVE = 1, MEDIA_FILE = 4, MEDIA_FIRMWARE_FILE = 6, MEDIA_FIRMWARE_VOLUME = 7 };

#define EISA_PCI_ROOT 0x0a0341d0u  /* PNP0A03 */
#define EISA_PCIE_ROOT 0x0a0841d0u /* PNP0A08 */
#define SIGNATURE_GUID 2

struct node {
    uint8_t type, subtype;
    struct cursor data;
};

/* The next node. False at the end and for what is no node; *good tells which. */
static bool next_node(struct cursor *path, struct node *ret, bool *good)
{
    uint16_t size;

    *good = cursor_left(path) == 0;
    if (!cursor_u8(path, &ret->type) || !cursor_u8(path, &ret->subtype) || !cursor_u16(path, &size) || size < 4)
        return false;
    *good = cursor_cut(path, size - 4u, &ret->data);
    return *good && !(ret->type == NODE_END && ret->subtype == 0xff);
}

static bool put_guid(FILE *stream, const char *name, struct cursor *data)
{
    char text[GUID_TEXT];
    struct span guid;

    if (!cursor_span(data, GUID_BYTES, &guid))
        return false;
    guid_format(guid.bytes, text);
    fprintf(stream, "%s(%s)", name, text);
    return true;
}

static bool put_pci(FILE *stream, struct cursor *data)
{
    uint8_t function, device;

    if (!cursor_u8(data, &function) || !cursor_u8(data, &device))
        return false;
    fprintf(stream, "Pci(0x%x,0x%x)", device, function);
    return true;
}

static bool put_acpi(FILE *stream, struct cursor *data)
{
    uint32_t hid, uid;

    if (!cursor_u32(data, &hid) || !cursor_u32(data, &uid))
        return false;
    if (hid == EISA_PCI_ROOT || hid == EISA_PCIE_ROOT)
        fprintf(stream, "PciRoot(0x%x)", uid);
    else
        fprintf(stream, "Acpi(0x%08x,0x%x)", hid, uid);
    return true;
}

static bool put_usb(FILE *stream, struct cursor *data)
{
    uint8_t port, interface;

    if (!cursor_u8(data, &port) || !cursor_u8(data, &interface))
        return false;
    fprintf(stream, "USB(0x%x,0x%x)", port, interface);
    return true;
}

static bool put_sata(FILE *stream, struct cursor *data)
{
    uint16_t port, multiplier, unit;

    if (!cursor_u16(data, &port) || !cursor_u16(data, &multiplier) || !cursor_u16(data, &unit))
        return false;
    fprintf(stream, "Sata(0x%x,0x%x,0x%x)", port, multiplier, unit);
    return true;
}

static bool put_nvme(FILE *stream, struct cursor *data)
{
    uint32_t space;

    if (!cursor_u32(data, &space))
        return false;
    fprintf(stream, "NVMe(0x%x)", space);
    return true;
}

static bool put_scsi(FILE *stream, struct cursor *data)
{
    uint16_t target, unit;

    if (!cursor_u16(data, &target) || !cursor_u16(data, &unit))
        return false;
    fprintf(stream, "Scsi(0x%x,0x%x)", target, unit);
    return true;
}

static bool put_mac(FILE *stream, struct cursor *data)
{
    struct span address;
    const uint8_t *bytes;

    if (!cursor_span(data, 6, &address))
        return false;
    bytes = address.bytes;
    fprintf(stream, "MAC(%02x%02x%02x%02x%02x%02x)", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
    return true;
}

static bool put_ipv4(FILE *stream, struct cursor *data)
{
    (void)data;
    fputs("IPv4", stream);
    return true;
}

static bool put_ipv6(FILE *stream, struct cursor *data)
{
    (void)data;
    fputs("IPv6", stream);
    return true;
}

static bool put_uri(FILE *stream, struct cursor *data)
{
    fputs("Uri(", stream);
    text_put_utf8(stream, cursor_rest(data));
    fputc(')', stream);
    return true;
}

static bool put_sd(FILE *stream, struct cursor *data)
{
    uint8_t slot;

    if (!cursor_u8(data, &slot))
        return false;
    fprintf(stream, "SD(0x%x)", slot);
    return true;
}

static bool put_emmc(FILE *stream, struct cursor *data)
{
    uint8_t slot;

    if (!cursor_u8(data, &slot))
        return false;
    fprintf(stream, "eMMC(0x%x)", slot);
    return true;
}

static bool put_hard_drive(FILE *stream, struct cursor *data)
{
    char guid[GUID_TEXT];
    struct span place, signature;
    uint32_t partition;
    uint8_t format, kind;

    if (!cursor_u32(data, &partition) || !cursor_span(data, 16, &place) || !cursor_span(data, GUID_BYTES, &signature) ||
        !cursor_u8(data, &format) || !cursor_u8(data, &kind))
        return false;
    if (kind != SIGNATURE_GUID) {
        fprintf(stream, "HD(%u)", partition);
        return true;
    }
    guid_format(signature.bytes, guid);
    fprintf(stream, "HD(%u,GPT,%s)", partition, guid);
    return true;
}

static bool put_cdrom(FILE *stream, struct cursor *data)
{
    uint32_t entry;

    if (!cursor_u32(data, &entry))
        return false;
    fprintf(stream, "CDROM(0x%x)", entry);
    return true;
}

static bool put_file(FILE *stream, struct cursor *data)
{
    text_put_utf16(stream, cursor_rest(data));
    return true;
}

static bool put_firmware_file(FILE *stream, struct cursor *data)
{
    return put_guid(stream, "FvFile", data);
}

static bool put_firmware_volume(FILE *stream, struct cursor *data)
{
    return put_guid(stream, "Fv", data);
}

static bool put_offset_range(FILE *stream, struct cursor *data)
{
    uint64_t first, last;

    if (!cursor_skip(data, 4) || !cursor_u64(data, &first) || !cursor_u64(data, &last))
        return false;
    fprintf(stream, "Offset(0x%llx,0x%llx)", (unsigned long long)first, (unsigned long long)last);
    return true;
}

static void put_unknown(FILE *stream, const struct node *node)
{
    fprintf(stream, "Path(%u,%u,%zu bytes)", node->type, node->subtype, node->data.size);
}

static bool put_node(FILE *stream, struct node *node)
{
    static const struct {
        uint8_t type, subtype;
        bool (*put)(FILE *stream, struct cursor *data);
    } nodes[] = {
        { NODE_HARDWARE, 1, put_pci },
        { NODE_ACPI, 1, put_acpi },
        { NODE_MESSAGING, 2, put_scsi },
        { NODE_MESSAGING, 5, put_usb },
        { NODE_MESSAGING, 11, put_mac },
        { NODE_MESSAGING, 12, put_ipv4 },
        { NODE_MESSAGING, 13, put_ipv6 },
        { NODE_MESSAGING, 18, put_sata },
        { NODE_MESSAGING, 23, put_nvme },
        { NODE_MESSAGING, 24, put_uri },
        { NODE_MESSAGING, 26, put_sd },
        { NODE_MESSAGING, 29, put_emmc },
        { NODE_MEDIA, MEDIA_HARD_DRIVE, put_hard_drive },
        { NODE_MEDIA, 2, put_cdrom },
        { NODE_MEDIA, MEDIA_FILE, put_file },
        { NODE_MEDIA, MEDIA_FIRMWARE_FILE, put_firmware_file },
        { NODE_MEDIA, MEDIA_FIRMWARE_VOLUME, put_firmware_volume },
        { NODE_MEDIA, 8, put_offset_range },
    };

    for (size_t i = 0; i < array_size(nodes); i++)
        if (nodes[i].type == node->type && nodes[i].subtype == node->subtype)
            return nodes[i].put(stream, &node->data);
    put_unknown(stream, node);
    return true;
}

bool device_path_put(FILE *stream, struct span path)
{
    struct cursor cursor = cursor_over(path);
    struct node node;
    bool good;

    for (size_t i = 0; next_node(&cursor, &node, &good); i++) {
        if (i == DEVICE_PATH_MAX_NODES)
            return false;
        if (i > 0)
            fputc('/', stream);
        if (!put_node(stream, &node))
            return false;
    }
    return good;
}

/* The last node of one of the two subtypes; false when there is none. */
static bool find_media(struct span path, uint8_t subtype, uint8_t other, struct node *ret)
{
    struct cursor cursor = cursor_over(path);
    struct node node;
    bool good, found = false;

    for (size_t i = 0; i < DEVICE_PATH_MAX_NODES && next_node(&cursor, &node, &good); i++)
        if (node.type == NODE_MEDIA && (node.subtype == subtype || node.subtype == other)) {
            *ret = node;
            found = true;
        }
    return found;
}

bool device_path_put_file(FILE *stream, struct span path)
{
    struct node node;

    if (find_media(path, MEDIA_FILE, MEDIA_FILE, &node))
        return put_file(stream, &node.data);
    return find_media(path, MEDIA_FIRMWARE_FILE, MEDIA_FIRMWARE_FILE, &node) && node.data.size >= GUID_BYTES &&
           put_firmware_file(stream, &node.data);
}

bool device_path_is_firmware(struct span path)
{
    struct node node;

    return find_media(path, MEDIA_FIRMWARE_FILE, MEDIA_FIRMWARE_VOLUME, &node);
}
