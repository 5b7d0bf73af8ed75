import {
  type AuthorizationCase,
  allow,
  both,
  deny,
  no,
  ok,
  operation,
  policy,
  root,
  source,
  stricter,
  when,
} from './authorization-case.ts'

const spelling = 'a path that is closed is closed in every spelling a framework could take for it'
const oneForm = 'what has no one form is a bad request'
const values = 'a repeated header, or a list, is compared value by value (CVE-2026-26308, RFC 9110 5.3)'

/** AuthorizationPolicies; every one is judged twice. */
export const authorizationCases: readonly AuthorizationCase[] = [
  // The whole
  { name: 'no policy', yaml: '', asks: ok('plain GET /', 'web GET /', 'other POST /x') },
  { name: 'deny-all: an empty spec', yaml: policy('{}'), asks: no('plain GET /', 'web GET /', 'web POST /x') },
  { name: 'allow-all: an empty rule', yaml: allow('{}'), asks: ok('plain GET /', 'web GET /', 'other DELETE /x') },
  { name: 'ALLOW without rules', yaml: policy('{ action: ALLOW }'), asks: no('plain GET /', 'web GET /') },
  { name: 'DENY with an empty rule', yaml: deny('{}'), asks: no('plain GET /', 'web GET /') },
  {
    name: 'deny-all beside an ALLOW: what one allows is allowed',
    yaml: policy('{}') + allow(operation('methods: [GET]')),
    asks: { ...ok('web GET /', 'plain GET /x'), ...no('web POST /') },
  },
  {
    name: 'allow-all beside a DENY',
    yaml: allow('{}') + deny(operation('methods: [POST]')),
    asks: { ...ok('web GET /'), ...no('web POST /') },
  },
  {
    name: 'a DENY alone lets the rest pass',
    yaml: deny(operation('paths: [/a]')),
    asks: { ...no('web GET /a'), ...ok('web GET /b', 'plain GET /') },
  },
  // Principals
  {
    name: 'a principal by its whole name',
    yaml: allow(source('principals: [cluster.local/ns/shop/sa/web]')),
    asks: { ...ok('web GET /'), ...no('other GET /', 'batch GET /', 'plain GET /') },
  },
  {
    name: 'a principal by its beginning',
    yaml: allow(source('principals: ["cluster.local/ns/shop/*"]')),
    asks: { ...ok('web GET /', 'batch GET /'), ...no('other GET /', 'plain GET /') },
  },
  {
    name: 'a principal by its end',
    yaml: allow(source('principals: ["*/sa/web"]')),
    asks: { ...ok('web GET /', 'other GET /'), ...no('batch GET /', 'plain GET /') },
  },
  {
    name: 'any principal',
    yaml: allow(source('principals: ["*"]')),
    asks: { ...ok('web GET /', 'other GET /'), ...no('plain GET /') },
  },
  {
    name: 'principals with their scheme never match',
    yaml: allow(source('principals: ["spiffe://cluster.local/ns/shop/sa/web"]')),
    asks: no('web GET /', 'plain GET /'),
  },
  {
    name: 'not a principal',
    yaml: allow(source('notPrincipals: [cluster.local/ns/shop/sa/web]')),
    asks: { ...no('web GET /'), ...ok('other GET /', 'plain GET /') },
  },
  {
    name: 'DENY who has no principal',
    yaml: deny(source('notPrincipals: ["*"]')),
    asks: { ...no('plain GET /'), ...ok('web GET /') },
  },
  {
    name: 'a principal, and not another one',
    yaml: allow(source('principals: ["cluster.local/ns/shop/*"], notPrincipals: ["*/sa/batch"]')),
    asks: { ...ok('web GET /'), ...no('batch GET /', 'other GET /', 'plain GET /') },
  },
  {
    name: 'the principal as a condition',
    yaml: allow(when('source.principal', 'values: ["*/sa/web"], notValues: ["*/ns/other/*"]')),
    asks: { ...ok('web GET /'), ...no('batch GET /', 'plain GET /') },
  },
  // Namespaces and accounts
  {
    name: 'a namespace',
    yaml: allow(source('namespaces: [shop]')),
    asks: { ...ok('web GET /', 'batch GET /'), ...no('other GET /', 'plain GET /') },
  },
  {
    name: 'a namespace by its beginning',
    yaml: allow(source('namespaces: ["sh*"]')),
    asks: { ...ok('web GET /'), ...no('other GET /', 'plain GET /') },
  },
  {
    name: 'a namespace by its end',
    yaml: allow(source('namespaces: ["*er"]')),
    asks: { ...ok('other GET /'), ...no('web GET /') },
  },
  { name: 'a part of a namespace is none', yaml: allow(source('namespaces: [sho]')), asks: no('web GET /') },
  {
    name: 'not a namespace',
    yaml: allow(source('notNamespaces: [shop]')),
    asks: { ...no('web GET /'), ...ok('other GET /', 'plain GET /') },
  },
  {
    name: 'DENY what is of no namespace but two',
    yaml: deny(source('notNamespaces: [shop, default]')),
    asks: { ...ok('web GET /', 'near GET /'), ...no('other GET /', 'plain GET /') },
  },
  {
    name: 'a namespace as a condition',
    yaml: allow(when('source.namespace', 'notValues: [other]')),
    asks: { ...ok('web GET /', 'plain GET /'), ...no('other GET /') },
  },
  {
    name: 'service accounts, with and without a namespace',
    yaml: allow(source('serviceAccounts: [shop/web, client]')),
    asks: { ...ok('web GET /', 'near GET /'), ...no('other GET /', 'batch GET /', 'plain GET /') },
  },
  {
    name: 'not a service account',
    yaml: deny(source('notServiceAccounts: [shop/web]')),
    asks: { ...ok('web GET /'), ...no('batch GET /', 'plain GET /') },
  },
  {
    name: 'trust domains',
    yaml: allow(source('trustDomains: ["cluster.*"]')) + deny(source('notTrustDomains: [cluster.local]')),
    asks: { ...ok('web GET /'), ...no('plain GET /') },
  },
  { name: 'another trust domain', yaml: allow(source('trustDomains: [local]')), asks: no('web GET /', 'plain GET /') },
  // Addresses
  {
    name: 'ipBlocks',
    yaml: allow(source('ipBlocks: [127.0.0.2, 127.0.1.0/24]')),
    asks: { ...ok('plain GET / from:127.0.0.2', 'web GET / from:127.0.1.9'), ...no('plain GET /', 'plain GET / from:127.0.2.1') },
  },
  {
    name: 'notIpBlocks',
    yaml: allow(source('ipBlocks: [127.0.0.0/8], notIpBlocks: [127.0.0.2/32]')),
    asks: { ...ok('plain GET /'), ...no('plain GET / from:127.0.0.2') },
  },
  {
    name: 'source.ip as a condition',
    yaml: deny(when('source.ip', 'values: [127.0.0.2], notValues: [10.0.0.0/8]')),
    asks: { ...ok('plain GET /'), ...no('plain GET / from:127.0.0.2') },
  },
  {
    name: 'ipBlocks do not look at X-Forwarded-For',
    yaml: allow(source('ipBlocks: [10.0.0.0/8]')),
    asks: no('plain GET / x-forwarded-for:10.0.0.1', 'plain GET /'),
  },
  {
    name: 'remoteIpBlocks without a header',
    yaml: allow(source('remoteIpBlocks: [127.0.0.2]')),
    asks: { ...ok('plain GET / from:127.0.0.2'), ...no('plain GET /') },
  },
  {
    name: 'remoteIpBlocks with one',
    yaml: allow(source('remoteIpBlocks: [10.0.0.0/8]')),
    asks: {
      ...no('plain GET /'),
      'web GET / x-forwarded-for:10.0.0.1': { istio: 200, inmesh: 403, because: 'no caller is believed about its address (B19)' },
    },
  },
  {
    name: 'DENY by remote.ip',
    yaml: deny(when('remote.ip', 'values: [127.0.0.2]')),
    asks: { ...ok('plain GET /'), ...no('plain GET / from:127.0.0.2') },
  },
  // Methods
  {
    name: 'methods',
    yaml: allow(operation('methods: [GET, HEAD]')),
    asks: {
      ...ok('web GET /', 'plain HEAD /'),
      ...no('web POST /', 'web PUT /', 'web DELETE /', 'web PATCH /', 'web OPTIONS /'),
    },
  },
  {
    name: 'methods by their beginning',
    yaml: allow(operation('methods: ["P*"]')),
    asks: { ...ok('web POST /', 'web PUT /'), ...no('web GET /') },
  },
  { name: 'not a method', yaml: allow(operation('notMethods: [DELETE]')), asks: { ...ok('web GET /'), ...no('web DELETE /') } },
  { name: 'a method in small letters is another one', yaml: allow(operation('methods: [get]')), asks: no('web GET /') },
  // Paths
  {
    name: 'a path',
    yaml: allow(operation('paths: [/a]')),
    asks: {
      ...ok('web GET /a', 'web GET /a?x=/b'),
      ...no('web GET /', 'web GET /a/', 'web GET /a/b', 'web GET /A', 'web GET /ab'),
    },
  },
  {
    name: 'a path by its beginning',
    yaml: allow(operation('paths: ["/a/*"]')),
    asks: { ...ok('web GET /a/', 'web GET /a/b/c?d'), ...no('web GET /a', 'web GET /b/a/', 'web GET /?/a/') },
  },
  {
    name: 'a path by its end',
    yaml: allow(operation('paths: ["*/info"]')),
    asks: { ...ok('web GET /info', 'web GET /x/y/info'), ...no('web GET /info/x', 'web GET /x?/info') },
  },
  { name: 'any path', yaml: allow(operation('paths: ["*"]')), asks: ok('web GET /', 'web GET /x/y') },
  {
    name: 'not a path',
    yaml: allow(operation('notPaths: ["/a*"]')),
    asks: { ...ok('web GET /b'), ...no('web GET /a', 'web GET /ab?c') },
  },
  {
    name: 'a path, and not one below',
    yaml: allow(operation('paths: ["/a/*"], notPaths: [/a/secret]')),
    asks: { ...ok('web GET /a/b'), ...no('web GET /a/secret', 'web GET /b') },
  },
  {
    name: 'a path is normalised before it is judged',
    yaml: allow(operation('paths: [/a]')),
    asks: { ...ok('web GET /b/../a', 'web GET /./a', 'web GET /%61'), ...no('web GET /a/../b') },
  },
  {
    name: 'DENY a path, in its spellings',
    yaml: deny(operation('paths: [/a]')),
    asks: {
      ...no('web GET /a', 'web GET /a?b', 'web GET /b/../a', 'web GET /%61', 'web GET /./a'),
      ...ok('web GET /b', 'web GET /a/b'),
      ...stricter(spelling, 403, 'web GET /A', 'web GET /a/', 'web GET /a;x=1', 'web GET //a'),
      ...stricter(oneForm, 400, 'web GET /a%2fb'),
      ...both(400, 'web GET /a%00'),
    },
  },
  {
    name: 'DENY everything below a path',
    yaml: deny(operation('paths: ["/admin*"]')),
    asks: {
      ...no('web GET /admin', 'web GET /admin/x', 'web GET /x/../admin/', 'web GET /%61dmin'),
      ...ok('web GET /', 'web GET /x/admin'),
    },
  },
  // Templates
  {
    name: 'a template of one segment',
    yaml: allow(operation('paths: ["/users/{*}"]')),
    asks: { ...ok('web GET /users/7', 'web GET /users/7?x'), ...no('web GET /users/', 'web GET /users', 'web GET /users/7/x') },
  },
  {
    name: 'a template of one segment in the middle',
    yaml: allow(operation('paths: ["/users/{*}/orders"]')),
    asks: {
      ...ok('web GET /users/7/orders'),
      ...no('web GET /users//orders', 'web GET /users/7/8/orders', 'web GET /users/7/orders/1'),
    },
  },
  {
    name: 'a template of the rest',
    yaml: allow(operation('paths: ["/files/{**}"]')),
    asks: { ...ok('web GET /files/a', 'web GET /files/a/b/c', 'web GET /files/'), ...no('web GET /files', 'web GET /x/files/a') },
  },
  {
    name: 'a template of what is between',
    yaml: allow(operation('paths: ["/files/{**}/info"]')),
    asks: { ...ok('web GET /files/a/info', 'web GET /files/a/b/info'), ...no('web GET /files/info', 'web GET /files/a/info/x') },
  },
  {
    name: 'not a template',
    yaml: allow(operation('notPaths: ["/users/{*}/secret"]')),
    asks: { ...ok('web GET /users/7', 'web GET /users/7/8/secret'), ...no('web GET /users/7/secret') },
  },
  {
    name: 'DENY a template',
    yaml: deny(operation('paths: ["/{*}/secret"]')),
    asks: { ...no('web GET /a/secret'), ...ok('web GET /secret', 'web GET /a/b/secret') },
  },
  {
    name: 'several templates',
    yaml: allow(operation('paths: ["/allow/admin/{**}", "/foo/{*}/bar/{**}", "/store/{**}/cart"]')),
    asks: {
      ...ok(
        'web GET /allow/admin/',
        'web GET /allow/admin/temp.txt',
        'web GET /allow/admin/foo/temp',
        'web GET /foo/buzz/bar/bat.temp.txt',
        'web GET /foo/buzz/bar/bat/fuzz',
        'web GET /store/foo/cart',
        'web GET /store/foo/bar/cart',
      ),
      ...no(
        'web GET /allow/admin',
        'web GET /allow/admin?a=/b',
        'web GET /allow/user/',
        'web GET /allow',
        'web GET /foo/bar/bat',
        'web GET /foo//bar/bat',
        'web GET /store/cart',
      ),
      ...stricter(spelling, 403, 'web GET /store//cart'),
    },
  },
  {
    name: 'a DENY of one path below what is allowed',
    yaml: allow(operation('paths: ["/allow*"]')) + deny(operation('paths: [/allow/admin]')),
    asks: { ...ok('web GET /allow', 'web GET /allow?a=b'), ...no('web GET /allow/admin', 'web GET /allow/admin?a=b') },
  },
  {
    name: 'a DENY of what is below a path, but for one',
    yaml: deny(operation('paths: ["/closed*"], notPaths: [/closed/open]')),
    asks: {
      ...no('web GET /closed', 'web GET /closed/x?y'),
      ...ok('web GET /closed/open', 'web GET /closed/open?x', 'web GET /'),
    },
  },
  {
    name: 'targets and hosts that have two readings',
    yaml: allow(operation('hosts: [shop.test]')),
    asks: {
      ...ok('plain GET http://shop.test/a'),
      'plain GET http://shop.test/a host:evil': { istio: 200, inmesh: 400, because: oneForm },
      'plain GET http://evil/a': { istio: 403, inmesh: 400, because: oneForm },
      'plain GET / host:shop.test host:evil': { istio: 403, inmesh: 400, because: oneForm },
      ...both(400, 'plain GET *'),
      'plain OPTIONS *': {
        istio: 404,
        inmesh: 200,
        because: 'allowed by both; the sidecar has no route for it, and the application answers',
      },
    },
  },
  {
    name: 'HTTP/1.0',
    yaml: allow(operation('paths: [/a]')),
    asks: {
      'plain GET /a http:1.0': { istio: 426, inmesh: 200, because: 'node:http serves it, and it is judged as any other' },
      'plain GET /b http:1.0': { istio: 426, inmesh: 403, because: 'node:http serves it, and it is judged as any other' },
    },
  },
  // Hosts
  {
    name: 'hosts',
    yaml: allow(operation('hosts: [shop.test, "*.b.test"]')),
    asks: {
      ...ok('web GET /', 'web GET / host:SHOP.test', 'web GET / host:x.b.test', 'plain GET /'),
      ...no('web GET / host:b.test', 'web GET / host:other.test', 'web GET / host:shop.test.evil'),
    },
  },
  {
    name: 'a host with its port is another one',
    yaml: allow(operation('hosts: [shop.test]')),
    asks: { ...ok('web GET / host:shop.test'), ...no('web GET / host:shop.test:8080') },
  },
  {
    name: 'DENY hosts, in whatever letters',
    yaml: deny(operation('hosts: [deny.test, "*.suffix.test", "prefix.*"]')),
    asks: {
      ...no(
        'web GET / host:deny.test',
        'web GET / host:DENY.TEST',
        'web GET / host:Deny.Suffix.Test',
        'web GET / host:PREFIX.test',
        'web GET / host:Prefix.Any',
      ),
      ...ok('web GET / host:www.test', 'web GET / host:suffix.test', 'web GET / host:x.prefix.test'),
    },
  },
  {
    name: 'not a host',
    yaml: allow(operation('notHosts: ["*.test"]')),
    asks: { ...no('web GET /'), ...ok('web GET / host:shop.example') },
  },
  // Ports
  { name: 'the port', yaml: allow(operation("ports: ['PORT']")), asks: ok('web GET /', 'plain GET /') },
  { name: 'another port', yaml: allow(operation("ports: ['81']")), asks: no('web GET /', 'plain GET /') },
  { name: 'not the port', yaml: allow(operation("notPorts: ['PORT']")), asks: no('web GET /') },
  { name: 'DENY another port', yaml: deny(operation("ports: ['81']")), asks: ok('web GET /') },
  { name: 'destination.port as a condition', yaml: allow(when('destination.port', "values: ['PORT']")), asks: ok('web GET /') },
  {
    name: 'destination.ip as a condition',
    yaml: allow(when('destination.ip', 'values: [127.0.0.0/8]')),
    asks: ok('web GET /', 'plain GET /'),
  },
  { name: 'another destination.ip', yaml: allow(when('destination.ip', 'values: [10.0.0.0/8]')), asks: no('web GET /') },
  {
    name: 'connection.sni',
    yaml: allow(when('connection.sni', 'values: ["*.test"]')),
    asks: { ...ok('web GET /', 'web GET / host:elsewhere'), ...no('plain GET /') },
  },
  {
    name: 'another connection.sni',
    yaml: allow(when('connection.sni', 'values: [other.test]')),
    asks: no('web GET /', 'web GET / host:other.test'),
  },
  // Headers
  {
    name: 'a header',
    yaml: allow(when('request.headers[X-Role]', 'values: [admin, "ops-*"]')),
    asks: {
      ...ok('web GET / x-role:admin', 'web GET / X-ROLE:admin', 'web GET / x-role:ops-1', 'web GET / x-role:ops-'),
      ...no('web GET /', 'web GET / x-role:Admin', 'web GET / x-role:user', 'web GET / x-role:', 'web GET / x-roles:admin'),
    },
  },
  {
    name: 'a header by its end',
    yaml: allow(when('request.headers[x-role]', 'values: ["*min"]')),
    asks: { ...ok('web GET / x-role:admin'), ...no('web GET / x-role:minister') },
  },
  {
    name: 'a header that is there',
    yaml: allow(when('request.headers[x-role]', 'values: ["*"]')),
    asks: { ...ok('web GET / x-role:a'), ...no('web GET /') },
  },
  {
    name: 'not a value of a header',
    yaml: allow(when('request.headers[x-role]', 'notValues: [guest]')),
    asks: { ...ok('web GET /', 'web GET / x-role:admin'), ...no('web GET / x-role:guest') },
  },
  {
    name: 'a value of a header, and not another one',
    yaml: allow(when('request.headers[x-role]', 'values: ["a*"], notValues: [assistant]')),
    asks: { ...ok('web GET / x-role:admin'), ...no('web GET / x-role:assistant', 'web GET /') },
  },
  {
    name: 'DENY a header',
    yaml: deny(when('request.headers[x-role]', 'values: [guest]')),
    asks: {
      ...ok('web GET /', 'web GET / x-role:admin'),
      ...no('web GET / x-role:guest', 'web GET / x-role:user x-role:guest'),
      ...stricter(values, 403, 'web GET / x-role:user,guest', 'web GET / x-role:guest,_user'),
    },
  },
  {
    name: 'DENY who does not have a header',
    yaml: deny(when('request.headers[x-role]', 'notValues: ["*"]')),
    asks: { ...ok('web GET / x-role:a'), ...no('web GET /') },
  },
  {
    name: 'several conditions, each for its path',
    yaml: allow(
      "{ to: [{ operation: { paths: [/a] } }], when: [{ key: 'request.headers[x-foo]', values: [foo] }] }",
      "{ to: [{ operation: { paths: [/b] } }], when: [{ key: 'request.headers[x-foo]', notValues: [bar] }] }",
      '{ to: [{ operation: { paths: [/c] } }], when: [{ key: source.trustDomain, notValues: [other.test] }] }',
      "{ to: [{ operation: { paths: [/d] } }], when: [{ key: destination.port, notValues: ['PORT'] }] }",
      '{ to: [{ operation: { paths: [/e] } }], when: [{ key: connection.sni, notValues: ["*.test"] }] }',
      '{ to: [{ operation: { paths: [/f] } }], when: [{ key: destination.ip, notValues: [127.0.0.1] }] }',
    ),
    asks: {
      ...ok('web GET /a x-foo:foo', 'web GET /b', 'web GET /b x-foo:foo', 'web GET /c', 'plain GET /c', 'plain GET /e'),
      ...no('web GET /a', 'web GET /a x-foo:bar', 'web GET /b x-foo:bar', 'web GET /d', 'web GET /e', 'web GET /f'),
    },
  },
  {
    name: 'a repeated header',
    yaml: allow(when('request.headers[x-role]', 'values: [admin]')),
    asks: {
      ...ok('web GET / x-role:admin x-role:admin'),
      ...no('web GET / x-role:user x-role:guest'),
      ...stricter(values, 403, 'web GET / x-role:user x-role:admin', 'web GET / x-role:admin x-role:user'),
    },
  },
  {
    name: 'a pseudo-header as a header',
    yaml: allow(when('request.headers[:method]', 'values: [GET]')),
    asks: { ...ok('web GET /'), ...no('web POST /') },
  },
  {
    name: 'the authority as a header',
    yaml: allow(when('request.headers[:authority]', 'values: [shop.test]')),
    asks: { ...ok('web GET /'), ...no('web GET / host:b') },
  },
  {
    name: 'the host as a header',
    yaml: allow(when('request.headers[host]', 'values: [shop.test]')),
    asks: { ...ok('web GET /'), ...no('web GET / host:b') },
  },
  {
    name: 'the path as a header',
    yaml: allow(when('request.headers[:path]', 'values: ["/a?b"]')),
    asks: { ...ok('web GET /a?b'), ...no('web GET /a') },
  },
  {
    name: 'a cookie as a header',
    yaml: allow(when('request.headers[cookie]', 'values: ["*a=1*"]')),
    asks: no('web GET / cookie:a=1', 'web GET / cookie:b=2;a=1;c=3'),
  },
  // Together
  {
    name: 'several rules: one of them',
    yaml: allow(operation('methods: [GET]'), source('principals: ["*/sa/web"]')),
    asks: { ...ok('plain GET /', 'web POST /'), ...no('plain POST /', 'batch POST /') },
  },
  {
    name: 'all parts of a rule',
    yaml: allow(
      "{ from: [{ source: { namespaces: [shop] } }], to: [{ operation: { methods: [GET], paths: ['/a*'] } }], when: [{ key: 'request.headers[x-role]', values: [admin] }] }",
    ),
    asks: {
      ...ok('web GET /a x-role:admin'),
      ...no(
        'web GET /a',
        'web GET /b x-role:admin',
        'web POST /a x-role:admin',
        'other GET /a x-role:admin',
        'plain GET /a x-role:admin',
      ),
    },
  },
  {
    name: 'several sources and several operations',
    yaml: allow(
      '{ from: [{ source: { namespaces: [shop] } }, { source: { ipBlocks: [127.0.0.2] } }], to: [{ operation: { methods: [GET] } }, { operation: { paths: [/a] } }] }',
    ),
    asks: {
      ...ok('web GET /', 'web POST /a', 'plain GET / from:127.0.0.2', 'plain POST /a from:127.0.0.2'),
      ...no('web POST /', 'plain GET /', 'plain POST / from:127.0.0.2'),
    },
  },
  {
    name: 'two conditions of one key',
    yaml: allow(
      "{ when: [{ key: 'request.headers[x-role]', values: ['a*'] }, { key: 'request.headers[x-role]', values: ['*n'] }] }",
    ),
    asks: { ...ok('web GET / x-role:admin'), ...no('web GET / x-role:all', 'web GET / x-role:man') },
  },
  {
    name: 'several policies that allow',
    yaml: allow(operation('paths: [/a]')) + allow(operation('paths: [/b]')),
    asks: { ...ok('web GET /a', 'web GET /b'), ...no('web GET /c') },
  },
  {
    name: 'several policies that deny',
    yaml: deny(operation('paths: [/a]')) + deny(operation('methods: [POST]')),
    asks: { ...ok('web GET /b'), ...no('web GET /a', 'web POST /b', 'web POST /a') },
  },
  {
    name: 'DENY goes before ALLOW',
    yaml: allow(source('namespaces: [shop]')) + deny(operation('paths: ["/admin*"]')),
    asks: { ...ok('web GET /'), ...no('web GET /admin', 'other GET /', 'other GET /admin') },
  },
  // Kinds of policies
  { name: 'AUDIT decides nothing', yaml: policy('{ action: AUDIT, rules: [{}] }'), asks: ok('web GET /', 'plain POST /') },
  {
    name: 'AUDIT beside ALLOW and DENY',
    yaml: policy('{ action: AUDIT, rules: [{}] }') + allow(operation('methods: [GET]')) + deny(operation('paths: [/a]')),
    asks: { ...ok('web GET /'), ...no('web POST /', 'web GET /a') },
  },
  {
    name: 'a dry run of a DENY',
    yaml: policy('{ action: DENY, rules: [{}] }', 'namespace: default, annotations: { istio.io/dry-run: "true" }'),
    asks: ok('web GET /', 'plain GET /'),
  },
  {
    name: 'a dry run of an ALLOW beside a real one',
    yaml: policy('{}', 'namespace: default, annotations: { istio.io/dry-run: "true" }') + allow(operation('methods: [GET]')),
    asks: { ...ok('web GET /'), ...no('web POST /') },
  },
  {
    name: 'a dry run alone of a deny-all',
    yaml: policy('{}', 'namespace: default, annotations: { istio.io/dry-run: "true" }'),
    asks: ok('web GET /', 'plain GET /'),
  },
  {
    name: 'a dry run that is none',
    yaml: policy('{}', 'namespace: default, annotations: { istio.io/dry-run: "false" }'),
    asks: no('web GET /'),
  },
  {
    name: 'CUSTOM without its provider',
    yaml: policy('{ action: CUSTOM, provider: { name: nobody }, rules: [{ to: [{ operation: { paths: [/a] } }] }] }'),
    asks: { ...no('web GET /a'), ...ok('web GET /b') },
  },
  // Whom they are for
  {
    name: 'a selector that selects',
    yaml: policy(
      '{ selector: { matchLabels: { app: httpbin, version: v1 } }, rules: [{ to: [{ operation: { methods: [GET] } }] }] }',
    ),
    asks: { ...ok('web GET /'), ...no('web POST /') },
  },
  {
    name: 'a selector that does not',
    yaml: policy('{ selector: { matchLabels: { app: httpbin, version: v2 } } }'),
    asks: ok('web GET /', 'plain GET /'),
  },
  { name: 'a policy of another namespace', yaml: policy('{}', 'namespace: shop'), asks: ok('web GET /', 'plain GET /') },
  { name: 'a policy of the root namespace', yaml: policy('{}', root), asks: no('web GET /', 'plain GET /') },
  {
    name: 'a DENY of the root namespace beside an ALLOW',
    yaml: policy('{ action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }', root) + allow('{}'),
    asks: { ...ok('web GET /'), ...no('web GET /a') },
  },
  {
    name: 'an ALLOW of the root namespace beside a deny-all',
    yaml: policy('{ rules: [{ from: [{ source: { namespaces: [shop] } }] }] }', root) + policy('{}'),
    asks: { ...ok('web GET /'), ...no('other GET /') },
  },
  {
    name: 'a policy of the root namespace that selects',
    yaml: policy('{ selector: { matchLabels: { app: httpbin } } }', root),
    asks: no('web GET /'),
  },
  {
    name: 'a policy of the root namespace that selects others',
    yaml: policy('{ selector: { matchLabels: { app: other } } }', root),
    asks: ok('web GET /'),
  },
]
