// Records what reaches the loudspeaker, sample by sample: window.tap.samples() gives all of it from the first sound on.

(() => {
    const CODE = `registerProcessor("tap", class extends AudioWorkletProcessor {
        process(inputs) {
            const channel = inputs[0][0] || new Float32Array(128);
            // On a busy machine Chromium at times tells the frame of the block before once more.
            const frame = Math.max(currentFrame, this.next || 0);
            this.next = frame + 128;
            this.port.postMessage([frame, channel.slice()]);
            return true;
        }
    });`;
    const address = URL.createObjectURL(new Blob([CODE], {type: "text/javascript"}));
    const Real = window.AudioContext;
    const blocks = new Map();
    window.tap = {
        contexts: [],
        blocks,
        clear: () => blocks.clear(),
        // Base64 of float32; frames that did not arrive are counted.
        samples() {
            const frames = [...blocks.keys()].sort((a, b) => a - b);
            const first = frames[0];
            const all = new Float32Array(frames.length ? frames[frames.length - 1] + 128 - first : 0);
            frames.forEach((frame) => all.set(blocks.get(frame), frame - first));
            const lost = all.length / 128 - frames.length;
            const bytes = new Uint8Array(all.buffer);
            let text = "";
            for (let start = 0; start < bytes.length; start += 32768) {
                text += String.fromCharCode(...bytes.subarray(start, start + 32768));
            }
            return {first, lost, data: btoa(text)};
        },
    };
    window.AudioContext = class extends Real {
        constructor(...options) {
            super(...options);
            window.tap.contexts.push(this);
            this.audioWorklet.addModule(address).then(() => {
                const node = new AudioWorkletNode(this, "tap", {numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit"});
                node.port.onmessage = ({data}) => blocks.set(data[0], data[1]);
                this.tapNode = node;
                (this.toTap || []).forEach((source) => source.connectDirectly(node));
            });
        }
    };
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connectDirectly = connect;
    AudioNode.prototype.connect = function (target, ...more) {
        if (target instanceof AudioDestinationNode) {
            const context = this.context;
            (context.toTap = context.toTap || []).push(this);
            if (context.tapNode) {
                connect.call(this, context.tapNode);
            }
        }
        return connect.call(this, target, ...more);
    };
})();
