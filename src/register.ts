// `node --import inmesh/register app.js`: puts an application that was never changed into the mesh.

// On Node 22, importing undici before the built-in fetch was touched would change the built-in one.
void globalThis.Headers

const { install } = await import('./install.ts')
await install(process.env)
