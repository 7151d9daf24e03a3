// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that calls a function and reads data of another one.
 */
#include <linux/module.h>

#include "module_features.h"

static int answer_get(char *buffer, const struct kernel_param *kp)
{
	int answer = module_features_add(module_features_exported[0], module_features_exported[1]);

	return sysfs_emit(buffer, "%d\n", answer);
}

static const struct kernel_param_ops answer_ops = {
	.get = answer_get,
};

module_param_cb(answer, &answer_ops, NULL, 0444);
MODULE_PARM_DESC(answer, "Computed by the other module's text from its data");

MODULE_DESCRIPTION("A module that uses what another one exports");
MODULE_LICENSE("GPL");
