/* A PE image: its Authenticode hash, and what it measures when it is started, be it a kernel or a unified image. The
 * second part is the options that the firmware passes on, the third what lies beside the image. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "measure/pe.h"
#include "measure/predict/boot-image.h"
#include "measure/predict/shim.h"

#define IMAGE "EFI/Linux/image.efi"

static void predict(struct span options, bool secure_boot, bool own_options)
{
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    const char *initrd = "/initrd", *phase = "enter-initrd";
    char folder[FUZZ_PATH];
    const struct image_start start = {
        .bank = HASH_SHA256,
        .folder = folder,
        .path = "/" IMAGE,
        .options = own_options ? fuzz_span("", 0) : options,
        .own_options = own_options,
        .initrds = &initrd,
        .initrd_count = own_options ? 0 : 1, /* a unified image takes none */
        .secure_boot = secure_boot,
        .phases = &phase,
        .phase_count = 1,
    };
    struct error error;
    int r;

    fuzz_path("", folder);
    fuzz_require(!boot_prediction_init(&prediction, HASH_SHA256, &error));
    r = boot_image_predict(&start, &prediction, &error);
    fuzz_require_told(r, &error);
    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        fuzz_require(!(prediction.unknown & 1u << i) == !prediction.reasons[i]);
        if (prediction.reasons[i] && i >= 4 && i <= 13)
            fuzz_tell("PCR %u: %s", i, prediction.reasons[i]);
    }
}

/* What shim brings along in its sections. */
static void try_shim(const char *path)
{
    cleanup(free_ptr) char *level = NULL;
    cleanup(free_ptr) uint8_t *lists = NULL;
    char folder[FUZZ_PATH];
    const char *reason = NULL;
    struct error error;
    size_t size;

    fuzz_path("", folder);
    fuzz_require_told(shim_sbat_level(path, folder, NULL, &level, &reason, &error), &error);
    fuzz_require_told(shim_vendor_lists(path, false, &lists, &size, &error), &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t digest[HASH_MAX_BYTES];
    struct span parts[3];
    char path[FUZZ_PATH];
    struct error error;

    fuzz_split(bytes, size, parts, 3);
    fuzz_write(IMAGE, parts[0]);
    fuzz_write(IMAGE ".extra.d/a.cred", parts[2]);
    fuzz_write("initrd", parts[2]);
    fuzz_path(IMAGE, path);
    fuzz_require_told(pe_hash(path, HASH_SHA256, digest, &error), &error);
    predict(parts[1], size % 2, false);
    predict(parts[1], false, true);
    try_shim(path);
    return 0;
}
