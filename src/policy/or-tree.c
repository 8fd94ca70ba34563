#include "policy/approval.h"
