/* usage: pe-hash ALGORITHM FILE...: the Authenticode hash of each, or "-" and the reason. */
#include "measure/pe.h"

#include "base/encode.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    enum hash_algorithm algorithm = argc > 2 ? hash_from_name(argv[1]) : 0;
    char text[HEX_TEXT(HASH_MAX_BYTES)];
    uint8_t hash[HASH_MAX_BYTES];
    struct error error = { 0 };

    if (!algorithm)
        return 2;
    for (int i = 2; i < argc; i++) {
        if (pe_hash(argv[i], algorithm, hash, &error)) {
            printf("- %s\n", error.text);
            continue;
        }
        hex_encode(hash, hash_size(algorithm), text);
        puts(text);
    }
    return 0;
}
