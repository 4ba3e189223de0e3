/** The globe: offline, without token, light and sober, drawing only when something changed. */

import {
  Cartesian2,
  Cartesian3,
  CesiumWidget,
  Color,
  DirectionalLight,
  EllipsoidTerrainProvider,
  ImageBasedLighting,
  Ion,
  Matrix4,
  RequestScheduler,
  Transforms,
} from '@cesium/engine';
import '@cesium/engine/Source/Widget/CesiumWidget.css';
import { effect } from '@preact/signals-core';
import type { CityConfig } from '../config';
import { color } from '../tokens';
import { freeWithFrames } from './freed';
import { quality, type Renderer } from './renderer';

/** Light from the south-west, 50° high, whatever the hour: shading is for reading shapes. */
function cityLight(lon: number, lat: number): DirectionalLight {
  const frame = Transforms.eastNorthUpToFixedFrame(Cartesian3.fromDegrees(lon, lat));
  const towards = Cartesian3.normalize(new Cartesian3(0.55, 0.4, -0.85), new Cartesian3());
  return new DirectionalLight({
    direction: Matrix4.multiplyByPointAsVector(frame, towards, new Cartesian3()),
    intensity: 2.1,
  });
}

/** The same grey from every side: no face is black, and software rendering needs no environment map. */
export function ambientLight(): ImageBasedLighting {
  const light = new ImageBasedLighting();
  light.imageBasedLightingFactor = new Cartesian2(1, 0);
  const grey = new Cartesian3(0.62, 0.63, 0.65);
  light.sphericalHarmonicCoefficients = [grey, ...Array.from({ length: 8 }, () => new Cartesian3(0, 0, 0))];
  return light;
}

/** Draws as sharply as the screen on which the window stands, also after it went to another. */
function followScreen(widget: CesiumWidget, { software }: Renderer): void {
  const apply = (): void => {
    const { scale } = quality(window.devicePixelRatio, software);
    widget.resolutionScale = scale / window.devicePixelRatio;
    widget.scene.requestRender();
  };
  apply();
  window.addEventListener('resize', apply);
}

export function openScene(
  container: HTMLElement,
  credits: HTMLElement,
  config: CityConfig,
  renderer: Renderer,
): CesiumWidget {
  Ion.defaultAccessToken = '';
  // one origin serves everything; more requests in flight only delay the live stream
  RequestScheduler.maximumRequestsPerServer = 5;
  const widget = new CesiumWidget(container, {
    baseLayer: false,
    terrainProvider: new EllipsoidTerrainProvider(),
    requestRenderMode: true,
    maximumRenderTimeChange: Infinity,
    useBrowserRecommendedResolution: false,
    msaaSamples: quality(window.devicePixelRatio, renderer.software).samples,
    // vector tiles are drawn as translucent even when they are not: blended without order, areas would
    // shine through the points on them; their heights already order them
    orderIndependentTranslucency: false,
    skyBox: false,
    skyAtmosphere: false,
    creditContainer: credits,
    showRenderLoopErrors: false,
    contextOptions: { webgl: { alpha: false, powerPreference: 'high-performance' } },
  });
  const { scene } = widget;
  effect(() => {
    scene.globe.baseColor = Color.fromCssColorString(color('ground'));
    scene.requestRender();
  });
  scene.globe.showGroundAtmosphere = false;
  // a bare ellipsoid: coarser tiles of it differ by less than a pixel, and each costs draws and passes
  scene.globe.maximumScreenSpaceError = 8;
  scene.globe.enableLighting = false;
  // the default lets what lies under the street shine through it
  scene.globe.depthTestAgainstTerrain = true;
  scene.fog.enabled = false;
  scene.highDynamicRange = false;
  scene.light = cityLight(config.view.lon, config.view.lat);
  followScreen(widget, renderer);
  freeWithFrames(scene);
  scene.renderError.addEventListener((_scene: unknown, error: unknown) => console.error('render error', error));
  return widget;
}
