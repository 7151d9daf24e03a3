/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What module_features exports and module_features_user imports.
 */
#ifndef SELFTESTS_EXECMEM_MODULES_MODULE_FEATURES_H
#define SELFTESTS_EXECMEM_MODULES_MODULE_FEATURES_H

extern int module_features_exported[2];
int module_features_add(int a, int b);

#endif /* SELFTESTS_EXECMEM_MODULES_MODULE_FEATURES_H */
