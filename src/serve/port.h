/*
 * src/serve/port.h
 *	  PostgreSQL's connection to a client, without the libraries that it may be encrypted with.
 *
 * libpq-be.h needs the headers of OpenSSL and Kerberos if PostgreSQL was built with them. The
 * connections of src/serve are never encrypted, and the fields that follow are at the end of struct
 * Port or pointers in any case. So these headers are not needed to build kwjobs.
 */
#ifndef KWJ_SERVE_PORT_H
#define KWJ_SERVE_PORT_H

#undef ENABLE_GSS
#undef USE_OPENSSL
#undef USE_SSL
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"

#endif
