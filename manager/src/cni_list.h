/* Network configurations of the Container Network Interface (CNI specification, section 1): a list of plugins that are run one
 * after the other, in a file that an administrator or a network's own installer wrote.
 *
 * Versions 0.3.0 to 1.1.0. A file is a list ("plugins") or one plugin's configuration, which is a list of one. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/scoped.h"

struct arena;
struct err;

#define CNI_LIST_BYTES_MAX (1 << 20)
#define CNI_PLUGINS_MAX 32
#define CNI_FILES_MAX 1024 /* of a folder */

struct cni_plugin {
	const char *type;	    /* the name of its program */
	const json_t *capabilities; /* NULL: none */
	const json_t *config;	    /* all of it */
};

struct cni_list {
	const char *name;
	const char *version; /* which the plugins are to speak */
	bool may_check;	     /* CHECK is not disabled */
	bool may_gc;
	struct cni_plugin *plugins;
	size_t plugins_count;
	json_t *document; /* the list's own; what the others point into */
};

/* Reads the text of a file. Strings lie in @arena, the rest in the list's document: cni_list_done().
 * Errors: -EINVAL (@err names the place in @source). */
int cni_list_parse(const char *source, const char *text, size_t length, struct arena *arena, struct cni_list *ret_list,
		   struct err *err);

/* The same of a document that was parsed before, of which the list takes a reference. */
int cni_list_decode(const char *source, json_t *document, struct arena *arena, struct cni_list *ret_list, struct err *err);

/* Reads the first file (by its name) of @folder, or the first one whose network is called @network (NULL: any). Names ending in
 * .conflist, .conf and .json count, those beginning with a dot do not. *ret_file (in @arena) is its path. Blocks.
 * Errors: -ENOENT (cni.no-config), -EINVAL: a broken file is an error, for another network would be a surprise. */
int cni_list_load(const char *folder, const char *network, struct arena *arena, struct cni_list *ret_list,
		  const char **ret_file, struct err *err);

void cni_list_done(struct cni_list *list);

/* Is the list's version @version ("1.1.0") or a later one? */
bool cni_list_speaks(const struct cni_list *list, const char *version);
