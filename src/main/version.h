/* version.h - what this program calls itself. */
#ifndef MAIN_VERSION_H
#define MAIN_VERSION_H

#ifndef FRESNEL_VERSION
#define FRESNEL_VERSION "0.1.0"
#endif

#endif
