// AES, SHA-1 and SHA-256 as MicroPython's ports with mbedtls build them (extmod/mbedtls/mbedtls_config_common.h): in software.
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
