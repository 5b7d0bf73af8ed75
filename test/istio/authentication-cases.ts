import {
  type AuthorizationCase,
  allow,
  both,
  deny,
  no,
  ok,
  peers,
  root,
  source,
  stricter,
  tokens,
  when,
} from './authorization-case.ts'
import { issuer } from './tokens.ts'

const eachGood = 'every token that is there must be good'

/** RequestAuthentications and PeerAuthentications, alone and with policies; every one is judged twice. */
export const authenticationCases: readonly AuthorizationCase[] = [
  // Tokens
  {
    name: 'tokens alone: a bad one is refused, none passes',
    yaml: tokens(),
    asks: {
      ...ok('plain GET /', 'plain GET / token:me'),
      ...both(
        401,
        'plain GET / token:expired',
        'plain GET / token:forged',
        'plain GET / token:foreign',
        'plain GET / token:garbage',
      ),
    },
  },
  {
    name: 'an audience that is not allowed',
    yaml: tokens(', audiences: [shop-1]'),
    asks: { ...ok('plain GET /', 'plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'any token',
    yaml: tokens() + allow(source('requestPrincipals: ["*"]')),
    asks: {
      ...ok('plain GET / token:me', 'web GET / token:you'),
      ...no('plain GET /', 'web GET /'),
      ...both(401, 'plain GET / token:forged'),
    },
  },
  {
    name: 'DENY without a token',
    yaml: tokens() + deny(source('notRequestPrincipals: ["*"]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET /') },
  },
  {
    name: 'a token’s principal',
    yaml: tokens() + allow(source(`requestPrincipals: ["${issuer}/me"]`)),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you', 'plain GET /') },
  },
  {
    name: 'a token’s principal by its beginning',
    yaml: tokens() + allow(source(`requestPrincipals: ["${issuer}/m*"]`)),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'a token’s principal by its end',
    yaml: tokens() + allow(source('requestPrincipals: ["*/me"]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'not a token’s principal',
    yaml: tokens() + allow(source(`notRequestPrincipals: ["${issuer}/you"]`)),
    asks: { ...ok('plain GET / token:me', 'plain GET /'), ...no('plain GET / token:you') },
  },
  {
    name: 'request.auth.principal as a condition',
    yaml: tokens() + allow(when('request.auth.principal', `values: ["${issuer}/*"]`)),
    asks: { ...ok('plain GET / token:me', 'plain GET / token:you'), ...no('plain GET /') },
  },
  {
    name: 'request.auth.audiences',
    yaml: tokens() + allow(when('request.auth.audiences', 'values: ["shop*"]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you', 'plain GET /') },
  },
  {
    name: 'request.auth.presenter',
    yaml: tokens() + allow(when('request.auth.presenter', 'values: [app]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'a claim that is a text or a list',
    yaml: tokens() + allow(when('request.auth.claims[groups]', 'values: [dev]')),
    asks: { ...ok('plain GET / token:me', 'plain GET / token:you'), ...no('plain GET /') },
  },
  {
    name: 'one value of a claim that is a list',
    yaml: tokens() + allow(when('request.auth.claims[groups]', 'values: ["op*"]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'not a value of a claim',
    yaml: tokens() + allow(when('request.auth.claims[groups]', 'notValues: [ops]')),
    asks: { ...no('plain GET / token:me'), ...ok('plain GET / token:you', 'plain GET /') },
  },
  {
    name: 'a claim inside another',
    yaml: tokens() + allow(when('request.auth.claims[org][unit]', 'values: [sales]')),
    asks: { ...ok('plain GET / token:you'), ...no('plain GET / token:me') },
  },
  {
    name: 'a list inside a claim',
    yaml: tokens() + allow(when('request.auth.claims[org][tags]', 'values: [b]')),
    asks: { ...ok('plain GET / token:you'), ...no('plain GET / token:me') },
  },
  {
    name: 'words of a claim with spaces',
    yaml: tokens() + allow(when('request.auth.claims[scope]', 'values: [write]')),
    asks: { ...ok('plain GET / token:me'), ...no('plain GET / token:you') },
  },
  {
    name: 'a claim that is a number or a boolean is no text',
    yaml:
      tokens() +
      allow(when('request.auth.claims[level]', "values: ['7']"), when('request.auth.claims[admin]', "values: ['true']")),
    asks: no('plain GET / token:you', 'plain GET / token:me'),
  },
  {
    name: 'a token from another header',
    yaml: tokens(', fromHeaders: [{ name: x-token, prefix: "jwt " }]') + allow(source('requestPrincipals: ["*"]')),
    asks: {
      ...ok('plain GET / x-token:jwt_<me>'),
      ...no('plain GET /', 'plain GET / token:me', 'plain GET / x-token:<me>'),
      ...both(401, 'plain GET / x-token:jwt_garbage'),
    },
  },
  {
    name: 'a token from the query',
    yaml: tokens(', fromParams: [t]') + allow(source('requestPrincipals: ["*"]')),
    asks: { ...ok('plain GET /?t=<me>'), ...no('plain GET /', 'plain GET /?x=<me>'), ...both(401, 'plain GET /?t=garbage') },
  },
  {
    name: 'a token from a cookie',
    yaml: tokens(', fromCookies: [t]') + allow(source('requestPrincipals: ["*"]')),
    asks: { ...ok('plain GET / cookie:a=1;_t=<me>'), ...no('plain GET /', 'plain GET / cookie:x=<me>') },
  },
  {
    name: 'a token where nobody says it is: as a bearer, and in the query',
    yaml: tokens() + allow(source('requestPrincipals: ["*"]')),
    asks: { ...ok('plain GET / token:me', 'plain GET /?access_token=<me>'), ...no('plain GET /?token=<me>') },
  },
  {
    name: 'a CORS preflight',
    yaml: tokens(),
    asks: {
      ...ok('plain OPTIONS / token:expired origin:https://a access-control-request-method:POST', 'plain OPTIONS /'),
      ...both(
        401,
        'plain OPTIONS / token:expired',
        'plain OPTIONS / token:expired access-control-request-method:POST',
        'plain OPTIONS / token:expired origin:https://a',
        'plain GET / token:expired origin:https://a access-control-request-method:POST',
      ),
    },
  },
  {
    name: 'a CORS preflight grants nothing',
    yaml: tokens() + allow(source('requestPrincipals: ["*"]')),
    asks: no('plain OPTIONS / token:me origin:https://a access-control-request-method:POST'),
  },
  {
    name: 'several tokens of one issuer: all must be good, and the one in a header decides',
    yaml:
      tokens(', fromHeaders: [{ name: x-token }], fromParams: [t], fromCookies: [t]') +
      allow(source(`requestPrincipals: ["${issuer}/me"]`)),
    asks: {
      ...ok('plain GET /?t=<me> x-token:<me>', 'plain GET /?t=<you> x-token:<me>', 'plain GET /?t=<me> cookie:t=<you>'),
      ...no('plain GET /?t=<me> x-token:<you>', 'plain GET /?t=<you> cookie:t=<me>'),
      ...both(401, 'plain GET /?t=<expired> x-token:<me>', 'plain GET /?t=<me> x-token:<expired>'),
    },
  },
  {
    name: 'several rules, each with its own header',
    yaml:
      tokens(`, fromHeaders: [{ name: x-a }] }, { issuer: '${issuer}', jwks: 'JWKS', fromHeaders: [{ name: x-b }]`) +
      allow(source(`requestPrincipals: ["${issuer}/me"]`)),
    asks: {
      ...ok('plain GET / x-a:<me>', 'plain GET / x-b:<me>', 'plain GET / x-a:<me> x-b:<you>'),
      ...no('plain GET / x-a:<you>', 'plain GET / x-a:<you> x-b:<me>', 'plain GET /'),
      ...both(401, 'plain GET / x-a:garbage', 'plain GET / x-b:garbage'),
      ...stricter(eachGood, 401, 'plain GET / x-a:<me> x-b:garbage', 'plain GET / x-a:garbage x-b:<me>'),
    },
  },
  {
    name: 'rules of several policies for one issuer',
    yaml: tokens(', audiences: [shop-1]') + tokens(', audiences: ["y"]') + allow(source('requestPrincipals: ["*"]')),
    asks: { ...ok('plain GET / token:me', 'plain GET / token:you'), ...no('plain GET /') },
  },
  {
    name: 'claims by their path, through what is no object',
    yaml:
      tokens() +
      allow(
        when('request.auth.claims[org][unit][x]', 'values: [sales]'),
        when('request.auth.claims[groups][0]', 'values: [dev]'),
        when('request.auth.claims[org.unit]', 'values: [sales]'),
      ),
    asks: no('plain GET / token:me', 'plain GET / token:you'),
  },
  {
    name: 'a token that is no bearer',
    yaml: tokens() + allow(source('notRequestPrincipals: ["*"]')),
    asks: ok('plain GET / authorization:Basic_x', 'plain GET /', 'plain GET / authorization:x'),
  },
  {
    name: 'an identity and a token',
    yaml: tokens() + allow(source('principals: ["*/sa/web"], requestPrincipals: ["*/me"]')),
    asks: {
      ...ok('web GET / token:me'),
      ...no('web GET / token:you', 'web GET /', 'plain GET / token:me', 'batch GET / token:me'),
    },
  },
  // Peers
  {
    name: 'STRICT',
    yaml: peers('{ mtls: { mode: STRICT } }'),
    asks: { ...ok('web GET /'), ...both('refused', 'plain GET /', 'nobody GET /') },
  },
  {
    name: 'PERMISSIVE',
    yaml: peers('{ mtls: { mode: PERMISSIVE } }'),
    asks: { ...ok('web GET /', 'plain GET /'), ...both('refused', 'nobody GET /') },
  },
  {
    name: 'STRICT of the root namespace',
    yaml: peers('{ mtls: { mode: STRICT } }', root),
    asks: { ...ok('web GET /'), ...both('refused', 'plain GET /') },
  },
  {
    name: 'STRICT of the root namespace, PERMISSIVE here',
    yaml: peers('{ mtls: { mode: STRICT } }', root) + peers('{ mtls: { mode: PERMISSIVE } }'),
    asks: ok('web GET /', 'plain GET /'),
  },
  {
    name: 'STRICT, and PERMISSIVE on the port',
    yaml: peers(
      '{ selector: { matchLabels: { app: httpbin } }, mtls: { mode: STRICT }, portLevelMtls: { PORT: { mode: PERMISSIVE } } }',
    ),
    asks: ok('web GET /', 'plain GET /'),
  },
  {
    name: 'PERMISSIVE, and STRICT on another port',
    yaml: peers(
      '{ selector: { matchLabels: { app: httpbin } }, mtls: { mode: PERMISSIVE }, portLevelMtls: { 81: { mode: STRICT } } }',
    ),
    asks: ok('web GET /', 'plain GET /'),
  },
  {
    name: 'DISABLE',
    yaml: peers('{ mtls: { mode: DISABLE } }'),
    asks: { ...ok('plain GET /'), ...both('refused', 'web GET /') },
  },
  {
    name: 'STRICT with a policy',
    yaml: peers('{ mtls: { mode: STRICT } }') + allow(source('namespaces: [shop]')),
    asks: { ...ok('web GET /'), ...no('other GET /'), ...both('refused', 'plain GET /') },
  },
]
