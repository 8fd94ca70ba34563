/*
 * luks-fill: write the payload of a LUKS2 volume without the kernel's device mapper.
 *
 *     luks-fill PLAIN DISK OFFSET < VOLUME-KEY
 *
 * Encrypts the file PLAIN as dm-crypt does with aes-xts-plain64, a 512-bit key and 512-byte sectors
 * (the tweak is the sector's number in the volume, 64 bits, little-endian) and writes the result into
 * the existing file DISK from the byte OFFSET on, where the volume's data segment starts.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { key_size_bytes = 64, sector_size_bytes = 512, sectors_at_once = 2048 };

static void read_volume_key(unsigned char key[static key_size_bytes])
{
	if (fread(key, 1, key_size_bytes, stdin) != key_size_bytes || getchar() != EOF)
		errx(1, "expected a volume key of %d bytes on standard input", key_size_bytes);
}

static void encrypt_sector(EVP_CIPHER_CTX *context, uint64_t number, unsigned char *sector)
{
	unsigned char tweak[16] = { 0 };
	int size_bytes;

	for (int i = 0; i < 8; i++)
		tweak[i] = (unsigned char)(number >> (8 * i));
	if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, tweak) != 1 ||
	    EVP_EncryptUpdate(context, sector, &size_bytes, sector, sector_size_bytes) != 1)
		errx(1, "cannot encrypt sector %llu", (unsigned long long)number);
}

static void write_all(int fd, const unsigned char *data, size_t size_bytes, off_t offset)
{
	while (size_bytes > 0) {
		ssize_t written = pwrite(fd, data, size_bytes, offset);
		if (written < 0)
			err(1, "cannot write");
		data += written;
		size_bytes -= (size_t)written;
		offset += written;
	}
}

static void encrypt_file(EVP_CIPHER_CTX *context, FILE *plain, int disk, off_t offset)
{
	static unsigned char buffer[sectors_at_once * sector_size_bytes];
	uint64_t number = 0;
	size_t size_bytes;

	while ((size_bytes = fread(buffer, 1, sizeof(buffer), plain)) > 0) {
		if (size_bytes % sector_size_bytes != 0)
			errx(1, "the plain file does not end with a whole sector");
		for (size_t i = 0; i < size_bytes; i += sector_size_bytes)
			encrypt_sector(context, number++, buffer + i);
		write_all(disk, buffer, size_bytes, offset);
		offset += (off_t)size_bytes;
	}
	if (ferror(plain))
		err(1, "cannot read the plain file");
}

int main(int argc, char **argv)
{
	unsigned char key[key_size_bytes];

	if (argc != 4)
		errx(2, "usage: luks-fill PLAIN DISK OFFSET < VOLUME-KEY");

	char *end;
	long long offset = strtoll(argv[3], &end, 10);
	if (end == argv[3] || *end != '\0' || offset < 0)
		errx(2, "not an offset: \"%s\"", argv[3]);

	FILE *plain = fopen(argv[1], "re");
	if (plain == NULL)
		err(1, "%s", argv[1]);
	int disk = open(argv[2], O_WRONLY | O_CLOEXEC);
	if (disk < 0)
		err(1, "%s", argv[2]);

	read_volume_key(key);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	if (context == NULL || EVP_EncryptInit_ex(context, EVP_aes_256_xts(), NULL, key, NULL) != 1)
		errx(1, "cannot use AES-256-XTS");
	encrypt_file(context, plain, disk, (off_t)offset);
	EVP_CIPHER_CTX_free(context);
	if (close(disk) != 0)
		err(1, "%s", argv[2]);
	fclose(plain);
	return 0;
}
