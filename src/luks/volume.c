#include "luks/token.h"
