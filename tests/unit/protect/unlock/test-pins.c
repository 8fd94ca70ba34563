#include "protect/unlock/pins.h"

#include "base/cleanup.h"
#include "protect/json-edit.h"
#include "protect/machine.h"

#include <sys/stat.h>
#include <unistd.h>

static struct entity an_entity(uint32_t handle, const char *area)
{
    struct entity entity = { .handle = handle, .public_size = strlen(area) };
    struct error error;

    memcpy(entity.public, area, entity.public_size);
    assert_good(object_name_compute(&entity.name, area, entity.public_size, &error), &error);
    return entity;
}

static void fill(struct pins *pins)
{
    *pins = (struct pins){
        .srk = an_entity(0x81000001, "public area of the SRK"),
        .index = an_entity(0x018b5ea3, "public area of the index"),
        .bank = HASH_SHA384,
        .cap = 14,
        .tries = 5,
        .floor_memory_kib = 16384,
        .floor_iterations = 2,
        .volumes = { { .name = "cryptroot", .uuid = LUKS_FILE_UUID, .device = "/dev/disk/by-uuid/" LUKS_FILE_UUID },
                     { .name = "data", .uuid = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0072", .device = "/srv/data.img" } },
        .volume_count = 2,
    };
    memset(pins->authority.bytes, 0xa5, NAME_BYTES);
    memset(pins->volumes[0].facts.bytes, 0x11, DIGEST_BYTES);
    memset(pins->volumes[1].facts.bytes, 0x22, DIGEST_BYTES);
}

struct bench {
    struct scratch scratch;
    char path[300];
    struct pins pins, again;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    snprintf(bench->path, sizeof(bench->path), "%s/pins.json", bench->scratch.folder);
    fill(&bench->pins);
    assert_good(pins_write(bench->path, &bench->pins, &error), &error);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    scratch_remove(&bench->scratch);
    free(bench);
    return 0;
}

static void assert_same_entity(const struct entity *a, const struct entity *b)
{
    assert_int_equal(a->handle, b->handle);
    assert_int_equal(a->public_size, b->public_size);
    assert_memory_equal(a->public, b->public, a->public_size);
    assert_true(object_name_equal(&a->name, &b->name));
}

static void test_round_trip(void **state)
{
    struct bench *bench = *state;
    const struct pins *a = &bench->pins, *b = &bench->again;
    struct error error;
    struct stat status;

    assert_good(pins_read(bench->path, &bench->again, &error), &error);
    assert_same_entity(&a->srk, &b->srk);
    assert_same_entity(&a->index, &b->index);
    assert_true(object_name_equal(&a->authority, &b->authority));
    assert_int_equal(b->bank, HASH_SHA384);
    assert_int_equal(b->cap, 14);
    assert_int_equal(b->tries, 5);
    assert_int_equal(b->floor_memory_kib, 16384);
    assert_int_equal(b->floor_iterations, 2);
    assert_int_equal(b->volume_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(a->volumes[i].name, b->volumes[i].name);
        assert_string_equal(a->volumes[i].uuid, b->volumes[i].uuid);
        assert_string_equal(a->volumes[i].device, b->volumes[i].device);
        assert_true(digest_equal(&a->volumes[i].facts, &b->volumes[i].facts));
    }
    assert_return_code(stat(bench->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_most_volumes(void **state)
{
    struct bench *bench = *state;
    struct pins *pins = &bench->pins;
    struct error error;

    pins->volume_count = PINS_MAX_VOLUMES;
    for (size_t i = 1; i < PINS_MAX_VOLUMES; i++) {
        pins->volumes[i] = pins->volumes[0];
        memset(pins->volumes[i].name, 'n', PINS_NAME_MAX);
        memset(pins->volumes[i].device, 'd', PINS_DEVICE_MAX);
    }
    assert_good(pins_write(bench->path, pins, &error), &error);
    assert_good(pins_read(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.volume_count, PINS_MAX_VOLUMES);
    assert_int_equal(strlen(bench->again.volumes[31].name), PINS_NAME_MAX);
    assert_int_equal(strlen(bench->again.volumes[31].device), PINS_DEVICE_MAX);
    json_edit(bench->path, "volumes/32", "{}");
    assert_error(pins_read(bench->path, &bench->again, &error), &error, ERROR_METADATA, "volumes");
}

static void test_no_volumes(void **state)
{
    struct bench *bench = *state;
    struct error error;

    bench->pins.volume_count = 0;
    assert_good(pins_write(bench->path, &bench->pins, &error), &error);
    assert_good(pins_read(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.volume_count, 0);
}

/* Pins without the key are from before there was a choice. */
static void test_root(void **state)
{
    struct bench *bench = *state;
    struct error error;

    bench->pins.any_root = true;
    assert_good(pins_write(bench->path, &bench->pins, &error), &error);
    assert_good(pins_read(bench->path, &bench->again, &error), &error);
    assert_true(bench->again.any_root);
    json_edit(bench->path, "root", NULL);
    assert_good(pins_read(bench->path, &bench->again, &error), &error);
    assert_false(bench->again.any_root);
}

/* Every field, each wrong in turn; the file is good again before the next one. */
static const struct fault {
    const char *member, *json;
} faults[] = {
    { "version", NULL },
    { "version", "2" },
    { "version", "0" },
    { "version", "\"1\"" },
    { "srk", NULL },
    { "srk", "[]" },
    { "srk/handle", NULL },
    { "srk/handle", "0" },
    { "srk/handle", "4294967296" },
    { "srk/handle", "-1" },
    { "srk/handle", "\"0x81000001\"" },
    { "srk/public", NULL },
    { "srk/public", "\"\"" },
    { "srk/public", "\"not base64\"" },
    { "srk/public", "7" },
    { "approval", NULL },
    { "approval", "null" },
    { "approval/handle", NULL },
    { "approval/handle", "0" },
    { "approval/public", NULL },
    { "approval/public", "\"A\"" },
    { "authority", NULL },
    { "authority", "\"000b\"" },
    { "authority", "\"zz0000000000000000000000000000000000000000000000000000000000000000zz\"" },
    { "authority", "1" },
    { "bank", NULL },
    { "bank", "\"md5\"" },
    { "bank", "11" },
    { "cap", NULL },
    { "cap", "24" },
    { "cap", "-1" },
    { "cap", "12.5" },
    { "tries", NULL },
    { "tries", "0" },
    { "tries", "101" },
    { "root", "\"\"" },
    { "root", "\"Any\"" },
    { "root", "true" },
    { "kdf_floor", NULL },
    { "kdf_floor", "1" },
    { "kdf_floor/memory_kib", NULL },
    { "kdf_floor/memory_kib", "7" },
    { "kdf_floor/memory_kib", "4194305" },
    { "kdf_floor/iterations", NULL },
    { "kdf_floor/iterations", "0" },
    { "kdf_floor/iterations", "1001" },
    { "volumes", NULL },
    { "volumes", "{}" },
    { "volumes/0", "\"cryptroot\"" },
    { "volumes/0/name", NULL },
    { "volumes/0/name", "\"\"" },
    { "volumes/0/name", "\"a/b\"" },
    { "volumes/0/name", "5" },
    { "volumes/1/uuid", NULL },
    { "volumes/1/uuid", "\"\"" },
    { "volumes/1/uuid", "\"0f4a7c52-1d1e-4b86-9a77-51c5ea1b00721\"" },
    { "volumes/1/device", NULL },
    { "volumes/1/device", "\"\"" },
    { "volumes/1/device", "false" },
    { "volumes/1/facts", NULL },
    { "volumes/1/facts", "\"00\"" },
    { "volumes/1/facts", "\"\"" },
};

static void test_faults(void **state)
{
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(faults); i++) {
        struct error error;
        int r;

        assert_good(pins_write(bench->path, &bench->pins, &error), &error);
        json_edit(bench->path, faults[i].member, faults[i].json);
        r = pins_read(bench->path, &bench->again, &error);
        if (r != ERROR_METADATA || !strstr(error.text, bench->path))
            fail_msg("%s = %s: %d %s", faults[i].member, faults[i].json ?: "missing", r, r ? error.text : "accepted");
    }
}

static void test_long_strings(void **state)
{
    struct bench *bench = *state;
    char text[PINS_DEVICE_MAX + 4];
    struct error error;

    memset(text, 'x', sizeof(text));
    text[0] = text[PINS_NAME_MAX + 2] = '"';
    text[PINS_NAME_MAX + 3] = '\0';
    json_edit(bench->path, "volumes/0/name", text);
    assert_error(pins_read(bench->path, &bench->again, &error), &error, ERROR_METADATA, "name");
    assert_good(pins_write(bench->path, &bench->pins, &error), &error);
    memset(text, 'x', sizeof(text));
    text[0] = text[PINS_DEVICE_MAX + 2] = '"';
    text[PINS_DEVICE_MAX + 3] = '\0';
    json_edit(bench->path, "volumes/0/device", text);
    assert_error(pins_read(bench->path, &bench->again, &error), &error, ERROR_METADATA, "device");
}

static void test_not_json(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "null", "{} {}" };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(texts); i++)
        assert_error(pins_read(scratch_write(&bench->scratch, "other.json", texts[i]), &bench->again, &error), &error,
                     ERROR_METADATA, "other.json");
    assert_int_not_equal(pins_read(scratch_path(&bench->scratch, "absent"), &bench->again, &error), 0);
}

static void test_find(void **state)
{
    struct bench *bench = *state;

    assert_ptr_equal(pins_find(&bench->pins, bench->pins.volumes[1].uuid), &bench->pins.volumes[1]);
    assert_null(pins_find(&bench->pins, "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073"));
    bench->pins.volume_count = 1;
    assert_null(pins_find(&bench->pins, bench->pins.volumes[1].uuid));
}

static void test_check_volume(void **state)
{
    cleanup(luks_file_remove) struct luks_file file;
    cleanup(volume_close) struct volume *volume = NULL;
    struct pinned_volume pin = { .name = "cryptroot", .uuid = LUKS_FILE_UUID };
    struct volume_facts facts;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_good(volume_open(&volume, file.path, &error), &error);
    assert_good(volume_facts_read(volume, &facts, &error), &error);
    pin.facts = facts.digest;
    assert_good(pins_check_volume(&pin, volume, &error), &error);
    pin.facts.bytes[0] ^= 1;
    assert_error(pins_check_volume(&pin, volume, &error), &error, ERROR_METADATA, "is not that of the pinned volume");
    pin.facts.bytes[0] ^= 1;
    pin.uuid[35] ^= 1;
    assert_error(pins_check_volume(&pin, volume, &error), &error, ERROR_METADATA, "has the UUID");
    pin.uuid[35] ^= 1;
    volume_close(&volume);
    luks_set(file.path, "segments/0/encryption", "\"cipher_null-ecb\"");
    assert_good(volume_open(&volume, file.path, &error), &error);
    assert_error(pins_check_volume(&pin, volume, &error), &error, ERROR_METADATA, "");
    volume_close(&volume);
    luks_set(file.path, "segments/0/encryption", "\"aes-cbc-essiv:sha256\"");
    assert_good(volume_open(&volume, file.path, &error), &error);
    assert_error(pins_check_volume(&pin, volume, &error), &error, ERROR_METADATA, "is not that of the pinned volume");
}

static void test_check_protector(void **state)
{
    struct bench *bench = *state;
    const struct pins *pins = &bench->pins;
    uint64_t ram_kib = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    const struct protector good = {
        .token = 3,
        .kind = PROTECTOR_TPM2_PIN,
        .srk = pins->srk.name,
        .approval = pins->index.name,
        .kdf = { .memory_kib = pins->floor_memory_kib, .iterations = pins->floor_iterations, .lanes = 1 },
    };
    struct protector protector = good;
    struct error error;

    assert_good(pins_check_protector(pins, &protector, &error), &error);
    protector.srk.bytes[33] ^= 1;
    assert_error(pins_check_protector(pins, &protector, &error), &error, ERROR_METADATA, "SRK is not the pinned one");
    assert_non_null(strstr(error.text, "token 3"));
    protector = good;
    protector.approval.bytes[33] ^= 1;
    assert_error(pins_check_protector(pins, &protector, &error), &error, ERROR_METADATA, "index is not the pinned one");
    protector = good;
    protector.kdf.memory_kib--;
    assert_error(pins_check_protector(pins, &protector, &error), &error, ERROR_METADATA, "less than the pinned");
    protector = good;
    protector.kdf.iterations--;
    assert_error(pins_check_protector(pins, &protector, &error), &error, ERROR_METADATA, "less than the pinned");
    protector = good;
    protector.kdf.memory_kib = (uint32_t)(ram_kib / 2);
    assert_good(pins_check_protector(pins, &protector, &error), &error);
    protector.kdf.memory_kib++;
    assert_error(pins_check_protector(pins, &protector, &error), &error, ERROR_METADATA, "more than half");
    protector.kind = PROTECTOR_TPM2; /* derives nothing */
    assert_good(pins_check_protector(pins, &protector, &error), &error);
}

static void test_set_policy(void **state)
{
    struct bench *bench = *state;
    struct policy_document document = {
        .bank = HASH_SHA256,
        .cap = 13,
        .tries = 9,
        .kdf = { .memory_kib = 65536, .floor_memory_kib = 32768, .floor_iterations = 6 },
    };

    pins_set_policy(&bench->pins, &document);
    assert_int_equal(bench->pins.bank, HASH_SHA256);
    assert_int_equal(bench->pins.cap, 13);
    assert_int_equal(bench->pins.tries, 9);
    assert_int_equal(bench->pins.floor_memory_kib, 32768);
    assert_int_equal(bench->pins.floor_iterations, 6);
    assert_int_equal(bench->pins.volume_count, 2);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_round_trip),
        test(test_most_volumes),
        test(test_no_volumes),
        test(test_root),
        test(test_round_trip),
        test(test_most_volumes),
        test(test_no_volumes),
        test(test_root),
        test(test_faults),
        test(test_long_strings),
        test(test_not_json),
        test(test_find),
        cmocka_unit_test(test_check_volume),
        test(test_check_protector),
        test(test_set_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
