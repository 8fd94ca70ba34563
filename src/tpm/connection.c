#include "tpm/tpm.h"
