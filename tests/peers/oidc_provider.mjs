// An OpenID Connect issuer: npm's oidc-provider with its pages for development. Whoever signs in as NAME is
// NAME@example.gov. Arguments: the package's main file, port, the console's address.
import { pathToFileURL } from "node:url";

const [main, port, console_] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(main));

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: "gate",
    client_secret: "s3cret",
    redirect_uris: [`${console_}/signin/oidc/callback`],
    post_logout_redirect_uris: [`${console_}/signin`],
    backchannel_logout_uri: `${console_}/signin/oidc/logout`,
    backchannel_logout_session_required: true,
  }],
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  pkce: { required: () => true },
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }), // the console is on loopback
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.gov`, email_verified: id !== "doubtful" }),
  }),
});
provider.on("server_error", (_, error) => process.stderr.write(`${error.stack}\n`));
provider.on("backchannel.error", (_, error) => process.stderr.write(`${error.stack}\n`));
provider.listen(Number(port), "127.0.0.1");
