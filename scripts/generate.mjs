// Generates src/discovery/gen from the .proto files that come inside devDependencies.
// `npm run generate` runs it; scripts/run.mjs runs it when its inputs have changed.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clearField, create, createFileRegistry, fromBinary, ScalarType, toBinary } from '@bufbuild/protobuf'
import {
  DescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorSetSchema,
  isWrapperDesc,
} from '@bufbuild/protobuf/wkt'
import { decodedEnums, decodedTypes } from '../src/discovery/decoded-types.ts'
import { opaqueTypes } from '../src/discovery/opaque-types.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)
const packageRoot = name => dirname(require.resolve(`${name}/package.json`))

const staging = join(root, 'node_modules/.cache/inmesh-proto')
const out = join(root, 'src/discovery/gen')
/** Made aside and moved, so that nobody finds the folder half full. */
const fresh = `${staging}-out`

/** The entry points; buf adds what they import. */
const entries = [
  'envoy/service/auth/v3/external_auth.proto',
  'envoy/service/discovery/v3/ads.proto',
  'envoy/service/discovery/v3/discovery.proto',
  'envoy/service/load_stats/v3/lrs.proto',
  'envoy/service/status/v3/csds.proto',
  'envoy/config/bootstrap/v3/bootstrap.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/route/v3/route_components.proto',
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/extensions/clusters/aggregate/v3/cluster.proto',
  'envoy/extensions/filters/http/cors/v3/cors.proto',
  'envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/filters/http/rbac/v3/rbac.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto',
  'envoy/extensions/load_balancing_policies/least_request/v3/least_request.proto',
  'envoy/extensions/load_balancing_policies/maglev/v3/maglev.proto',
  'envoy/extensions/load_balancing_policies/pick_first/v3/pick_first.proto',
  'envoy/extensions/load_balancing_policies/random/v3/random.proto',
  'envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.proto',
  'envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.proto',
  'envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.proto',
  'envoy/extensions/path/match/uri_template/v3/uri_template_match.proto',
  'envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite.proto',
  'envoy/extensions/rbac/audit_loggers/stream/v3/stream.proto',
  'envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'udpa/type/v1/typed_struct.proto',
  'xds/type/v3/typed_struct.proto',
]

/** Booleans of messages that are newer than the .proto files, by name and number. */
const newerFields = {
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext': { auto_host_sni: 6, auto_sni_san_validation: 7 },
}

/** Options that only other generators read. Without them the descriptors take half the memory in every process. */
const unread = ['validate.**', 'envoy.annotations.**', 'udpa.annotations.**', 'xds.annotations.**']

rmSync(staging, { recursive: true, force: true })
mkdirSync(staging, { recursive: true })
const deps = join(packageRoot('@grpc/grpc-js-xds'), 'deps')
cpSync(join(deps, 'envoy-api'), staging, { recursive: true })
cpSync(join(deps, 'xds'), staging, { recursive: true })
cpSync(join(deps, 'googleapis'), staging, { recursive: true })
// The copy inside grpc-js-xds is older than the files that import it.
mkdirSync(join(staging, 'validate'))
cpSync(join(packageRoot('protoc-gen-validate'), 'src/proto/validate.proto'), join(staging, 'validate/validate.proto'))
writeFileSync(join(staging, 'buf.yaml'), 'version: v2\n')

const template = {
  version: 'v2',
  plugins: [
    {
      local: [process.execPath, require.resolve('@bufbuild/protoc-gen-es/bin/protoc-gen-es')],
      out: fresh,
      opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'],
      include_imports: true,
    },
  ],
}

const buf = (...args) =>
  execFileSync(process.execPath, [join(packageRoot('@bufbuild/buf'), 'bin/buf'), ...args], { cwd: root, stdio: 'inherit' })

/** Everything that the entry points need, as descriptors. */
const image = join(staging, 'image.binpb')
buf('build', staging, '-o', image, ...entries.flatMap(path => ['--path', join(staging, path)]))
const set = fromBinary(FileDescriptorSetSchema, readFileSync(image))
for (const { package: name, messageType } of set.file) {
  for (const message of messageType) {
    addNewerFields(message, `${name}.${message.name}`)
    empty(message, name)
  }
}
dropUnreachable(set.file)
writeFileSync(image, toBinary(FileDescriptorSetSchema, set))

function addNewerFields(message, typeName) {
  for (const [name, number] of Object.entries(newerFields[typeName] ?? {})) {
    if (message.field.some(field => field.number === number)) throw new Error(`${typeName}.${name} is in the .proto files now`)
    const jsonName = name.replaceAll(/_([a-z])/g, (_, letter) => letter.toUpperCase())
    const type = FieldDescriptorProto_Type.BOOL
    const label = FieldDescriptorProto_Label.OPTIONAL
    message.field.push(create(FieldDescriptorProtoSchema, { name, number, jsonName, type, label }))
  }
}

/** Leaves messages whose insides are not looked into without any. */
function empty(message, parent) {
  const name = `${parent}.${message.name}`
  if (opaqueTypes.has(name)) {
    for (const part of ['field', 'oneofDecl', 'nestedType', 'enumType', 'extensionRange', 'reservedRange', 'reservedName'])
      clearField(message, DescriptorProtoSchema.field[part])
  } else for (const nested of message.nestedType) empty(nested, name)
}

/** Leaves out the messages of imported files that no message of an entry point is made of. */
function dropUnreachable(files) {
  const all = new Map(files.flatMap(file => file.messageType.map(each => [`.${file.package}.${each.name}`, each])))
  const reached = new Set()
  const reach = name => {
    // A nested message stays with its outermost one.
    const outer = [...prefixes(name)].find(prefix => all.has(prefix))
    if (outer === undefined || reached.has(outer)) return
    reached.add(outer)
    visit(all.get(outer))
  }
  const visit = ({ field, extension, nestedType }) => {
    for (const { typeName } of [...field, ...extension]) if (typeName !== '') reach(typeName)
    for (const nested of nestedType) visit(nested)
  }
  const isKept = ({ name, service }) => entries.includes(name) || name.startsWith('google/protobuf/') || service.length > 0
  for (const { extension } of files) visit({ field: [], extension, nestedType: [] })
  for (const file of files.filter(isKept)) for (const { name } of file.messageType) reach(`.${file.package}.${name}`)
  for (const file of files) file.messageType = file.messageType.filter(({ name }) => reached.has(`.${file.package}.${name}`))
}

function* prefixes(name) {
  for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) yield name.slice(0, dot)
  yield name
}

rmSync(fresh, { recursive: true, force: true })
buf('generate', image, '--template', JSON.stringify(template), ...unread.flatMap(name => ['--exclude-type', name]))
writeFileSync(join(fresh, 'tables.ts'), tables(createFileRegistry(set)))
rmSync(out, { recursive: true, force: true })
renameSync(fresh, out)

/** The fields of every message that is read without descriptors (src/discovery/protobuf), and the values of enums. */
function tables(registry) {
  const messages = new Map()
  const visit = desc => {
    if (messages.has(desc.typeName)) return
    if (desc.file.edition !== 999) throw new Error(`${desc.typeName} is not of proto3`)
    messages.set(desc.typeName, desc.fields.map(fieldText).join('|'))
    for (const { message } of desc.fields) if (message !== undefined) visit(message)
  }
  for (const name of decodedTypes) visit(registry.getMessage(name) ?? unknownType(name))
  const enums = decodedEnums.map(name => {
    const { file, typeName, values } = registry.getEnum(name) ?? unknownType(name)
    const constant = typeName.slice(file.proto.package.length + 1).replaceAll('.', '_')
    return `export const ${constant} = { ${values.map(({ name, number }) => `${name}: ${number}`).join(', ')} } as const\n`
  })
  const rows = Array.from(messages, ([name, fields]) => `  '${name}': '${fields}',\n`)
  const type = 'Readonly<Record<string, string>>'
  return `${enums.join('')}/** See src/discovery/protobuf/message-codec.ts. */\nexport const messageTables: ${type} = {\n${rows.join('')}}\n`
}

function unknownType(name) {
  throw new Error(`${name} is in no .proto file`)
}

/** `NUMBER NAME KIND [ONEOF]`; the kind is `*KIND` of a list, `KEY>KIND` of a map and `KIND?` of a number that may be absent. */
function fieldText(field) {
  const { number, localName, oneof, fieldKind, presence } = field
  const isOptional = oneof === undefined && presence === 1 && (fieldKind === 'scalar' || fieldKind === 'enum')
  return [number, localName, `${kindText(field)}${isOptional ? '?' : ''}`, ...(oneof ? [oneof.localName] : [])].join(' ')
}

function kindText(field) {
  if (field.fieldKind === 'map' && field.mapKey !== ScalarType.STRING) throw new Error(`the keys of ${field} are not strings`)
  const prefix = { list: '*', map: 'string>' }[field.fieldKind] ?? ''
  if (field.message === undefined) return prefix + (field.enum ? 'enum' : ScalarType[field.scalar].toLowerCase())
  const { message, parent } = field
  if (message.typeName === 'google.protobuf.Struct' && parent.typeName !== 'google.protobuf.Value') return `${prefix}struct`
  const isUnwrapped = field.fieldKind === 'message' && field.oneof === undefined && isWrapperDesc(message)
  return `${prefix}${isUnwrapped ? '=' : '.'}${message.typeName}`
}
