import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts } from '../test/support/free-ports.ts'

const run = promisify(execFile)

/** A cheap server in a process of its own: `/1k` JSON, `/100k` text, `POST /echo`. */
export interface Upstream extends AsyncDisposable {
  readonly kind: 'nginx' | 'node'
  readonly port: number
  /** `http://127.0.0.1:port` */
  readonly url: string
  /** The process whose CPU is the server's. */
  readonly pid: number
}

/** nginx where it is installed or can be (Debian, root), else `node:http`. */
export async function startUpstream(): Promise<Upstream> {
  const nginx = await findNginx()
  return nginx ? startNginx(nginx) : startNode()
}

/** The answer of `/1k`: exactly 1 KiB of JSON. */
export const json1k = JSON.stringify({ id: 1, text: 'x'.repeat(1024 - JSON.stringify({ id: 1, text: '' }).length) })
/** The answer of `/100k`. */
export const text100k = 'x'.repeat(100 * 1024)

async function findNginx(): Promise<string | undefined> {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'].map(folder => join(folder, 'nginx'))
  const found = () => places.find(existsSync)
  if (found() || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found()
  process.stderr.write('Installing nginx …\n')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) => run('apt-get', ['-qq', ...args], { env })
  await apt('install', '-y', '--no-install-recommends', 'nginx-light')
    .catch(() => apt('update').then(() => apt('install', '-y', '--no-install-recommends', 'nginx-light')))
    .catch(() => process.stderr.write('nginx could not be installed; the upstream is node:http\n'))
  return found()
}

// The body of a POST is known to nginx only after a phase that comes later than `return`: `mirror` reads it, the static handler
// finds no file, and the error page is a new pass in which `return` can say the body.
const nginxConfig = (folder: string, port: number) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
daemon off;
pid ${folder}/pid;
error_log ${folder}/error.log crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_body_buffer_size 256k;
  client_body_in_single_buffer on;
  default_type application/json;
  root ${folder};
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /1k { return 200 '${json1k}'; }
    location = /100k { sendfile on; }
    location = /echo { mirror /mirrored; error_page 404 =200 @echo; }
    location @echo { return 200 $request_body; }
    location = /mirrored { internal; return 204; }
    location / { return 200 '{}'; }
  }
}`

async function startNginx(binary: string): Promise<Upstream> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
  await writeFile(join(folder, '100k'), text100k)
  for (let attempt = 0; attempt < 5; attempt++) {
    const [port = 0] = await freePorts(1)
    await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, port))
    const child = spawn(binary, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
    if (await answers(child, port)) {
      const pid = await workerOf(child.pid ?? 0)
      return upstream('nginx', child, port, pid, () => rm(folder, { recursive: true, force: true }))
    }
    await end(child)
  }
  throw new Error('nginx did not start')
}

/** nginx answers from its worker, a child of the process that was started. */
async function workerOf(master: number): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(master)]).catch(() => ({ stdout: '' }))
  return Number.parseInt(stdout, 10) || master
}

async function startNode(): Promise<Upstream> {
  const server = fileURLToPath(new URL('./upstream-server.ts', import.meta.url))
  const child = spawn(process.execPath, [server], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout?.once('data', line => resolve(Number(line)))
    child.once('exit', code => reject(new Error(`the upstream ended with ${code}`)))
  })
  return upstream('node', child, port, child.pid ?? 0, async () => {})
}

function upstream(kind: Upstream['kind'], child: ChildProcess, port: number, pid: number, clean: () => Promise<void>): Upstream {
  return { kind, port, url: `http://127.0.0.1:${port}`, pid, [Symbol.asyncDispose]: () => end(child).then(clean) }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise(resolve => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

async function answers(child: ChildProcess, port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 100 && child.exitCode === null; attempt++) {
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok) return child.exitCode === null
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return false
}
