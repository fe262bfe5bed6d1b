/**
 * A real issuer of identities, for tests: `node issuer.mjs PORT GATEWAY…`, each GATEWAY an address without a path.
 * Any password is taken; who somebody is, and their groups, follows from the name they sign in with.
 */

import Provider from "oidc-provider";

const [port, ...gateways] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const GROUPS = { alice: ["platform", "everybody"], bob: ["shop"], mallory: [] };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "fedcost",
      client_secret: "only-for-this-test",
      redirect_uris: gateways.map((gateway) => `${gateway}/auth/callback`),
      post_logout_redirect_uris: gateways.map((gateway) => `${gateway}/`),
    },
  ],
  claims: {
    openid: ["sub"],
    profile: ["name"],
    email: ["email", "email_verified"],
    groups: ["groups"],
  },
  scopes: ["openid", "profile", "email", "groups"],
  pkce: { required: () => true },
  cookies: { keys: ["only-for-this-test"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: `id-of-${id}`,
      name: `${id[0].toUpperCase()}${id.slice(1)} Example`,
      email: `${id}@example.org`,
      email_verified: id !== "eve",
      groups: GROUPS[id] ?? [],
    }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`ready ${issuer}`));
