/* A milter that does nothing: it is asked at every step and says "go on". What a milter costs Postfix at the least. */
#include <stdlib.h>
#include <string.h>
#include <libmilter/mfapi.h>

static sfsistat connected(SMFICTX *c, char *host, _SOCK_ADDR *a) { (void)c; (void)host; (void)a; return SMFIS_CONTINUE; }
static sfsistat named(SMFICTX *c, char *name) { (void)c; (void)name; return SMFIS_CONTINUE; }
static sfsistat enveloped(SMFICTX *c, char **words) { (void)c; (void)words; return SMFIS_CONTINUE; }
static sfsistat field(SMFICTX *c, char *name, char *value) { (void)c; (void)name; (void)value; return SMFIS_CONTINUE; }
static sfsistat step(SMFICTX *c) { (void)c; return SMFIS_CONTINUE; }
static sfsistat body(SMFICTX *c, unsigned char *octets, size_t size) { (void)c; (void)octets; (void)size; return SMFIS_CONTINUE; }

int main(int count, char **words)
{
    struct smfiDesc milter;

    if (count != 2)
        return 64;
    memset(&milter, 0, sizeof milter);
    milter.xxfi_name = "noop";
    milter.xxfi_version = SMFI_VERSION;
    milter.xxfi_connect = connected;
    milter.xxfi_helo = named;
    milter.xxfi_envfrom = enveloped;
    milter.xxfi_envrcpt = enveloped;
    milter.xxfi_data = step;
    milter.xxfi_header = field;
    milter.xxfi_eoh = step;
    milter.xxfi_body = body;
    milter.xxfi_eom = step;
    milter.xxfi_abort = step;
    milter.xxfi_close = step;
    if (smfi_setconn(words[1]) != MI_SUCCESS || smfi_register(milter) != MI_SUCCESS)
        return 69;
    return smfi_main() == MI_SUCCESS ? 0 : 70;
}
