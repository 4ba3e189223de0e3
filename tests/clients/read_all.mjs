// Reads every layer of an OGC API endpoint as a web client would, and prints what it saw as JSON.
// usage: node read_all.mjs <landing page> <JSON: {layer: {bbox, property, value}}>
import { OgcApiEndpoint } from '@camptocamp/ogc-client'

const [, , root, asked] = process.argv
const queries = JSON.parse(asked)
const endpoint = new OgcApiEndpoint(root)
const found = {
  info: await endpoint.info,
  hasFeatures: await endpoint.hasFeatures,
  hasTiles: await endpoint.hasTiles,
  features: await endpoint.featureCollections,
  vectorTiles: await endpoint.vectorTileCollections,
  mapTiles: await endpoint.mapTileCollections,
  rasters: {},
  tileMatrixSets: await endpoint.tileMatrixSets,
  layers: {},
}
for (const id of found.features) {
  const info = await endpoint.getCollectionInfo(id)
  if (!(id in queries)) continue
  const { bbox, property, value } = queries[id]
  const seen = []
  for (let offset = 0; ; offset += 700) {
    const page = await endpoint.getCollectionItems(id, 700, offset)
    seen.push(...page.map((item) => item.id))
    if (page.length < 700) break
  }
  const boxed = await endpoint.getCollectionItems(id, 5000, 0, null, null, bbox)
  const filter = new URLSearchParams({ [property]: value }).toString()
  const url = await endpoint.getCollectionItemsUrl(id, { asJson: true, limit: 5000 })
  const filtered = await (await fetch(`${url}&${filter}`)).json()
  const one = await endpoint.getCollectionItem(id, String(seen[0]))
  found.layers[id] = {
    title: info.title,
    crs: info.crs,
    queryables: info.queryables.map((one) => one.name),
    tileFormats: info.vectorTileFormats,
    tileset: await endpoint.getVectorTilesetUrl(id),
    ids: seen,
    boxed: boxed.map((item) => item.id),
    filtered: filtered.features.map((item) => item.id),
    one: one.id,
  }
}
for (const id of found.mapTiles) {
  const { title, crs, mapTileFormats } = await endpoint.getCollectionInfo(id)
  const tileset = await (await fetch(await endpoint.getMapTilesetUrl(id))).json()
  const template = tileset.links.find((one) => one.rel === 'item').href
  const url = template.replace('{tileMatrix}', '14').replace('{tileRow}', '4742').replace('{tileCol}', '9327')
  const tile = await fetch(url)
  const picture = Buffer.from(await tile.arrayBuffer()).toString('base64')
  found.rasters[id] = { title, crs, mapTileFormats, status: tile.status, type: tile.headers.get('content-type'), picture }
}
console.log(JSON.stringify(found))
