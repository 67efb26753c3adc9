// Serves one provider on a free loopback port and prints its issuer. A line on stdin changes the keys:
// "overlap" publishes a new signing key beside the old one, "retire" drops the old one.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const RESOURCE = 'https://douane.example/api';
const PERSON = 'urn:douane:test:person';
let serial = 0;

function signingKey() {
  serial += 1;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${serial}`, use: 'sig', alg: 'RS256' };
}

function makeProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'sales-agent',
        client_secret: 'test-only',
        grant_types: ['client_credentials', PERSON],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    cookies: { keys: ['test-only'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_, token) =>
      token.kind === 'AccessToken' ? { act: { sub: 'sales-agent' }, roles: ['analyst'] } : undefined,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'douane:query douane:objects',
          audience: RESOURCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  provider.registerGrantType(
    PERSON,
    async (ctx) => {
      const { provider: idp, client, params } = ctx.oidc;
      const account = { accountId: params.person };
      const access = new idp.AccessToken({ accountId: params.person, client, scope: 'douane:query', gty: PERSON });
      access.resourceServer = new idp.ResourceServer(RESOURCE, {
        scope: 'douane:query',
        audience: RESOURCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      });
      ctx.oidc.entity('Account', { ...account, claims: () => ({ sub: params.person }) });
      const id = new idp.IdToken({ sub: params.person }, { ctx });
      id.scope = 'openid';
      id.set('nonce', 'n');
      ctx.body = {
        access_token: await access.save(),
        id_token: await id.issue({ use: 'idtoken' }),
        token_type: 'Bearer',
      };
    },
    ['person'],
  );
  return provider;
}

let callback = (_, response) => response.destroy();
const server = createServer((request, response) => callback(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let keys = [signingKey()];
  const publish = () => {
    callback = makeProvider(issuer, keys).callback();
  };
  publish();
  console.log(`issuer ${issuer}`);
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      keys = line === 'overlap' ? [signingKey(), ...keys] : keys.slice(0, 1);
      publish();
      console.log(`done ${line}`);
    })
    .on('close', () => process.exit(0));
});
